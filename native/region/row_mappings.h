// RowMappings are the second mappings of a region's rows. Each maps one row once more, for one JavaScript thread: V8
// forbids two ArrayBuffers over one address.
//
// The kernel maps shared memory a second time by mremap with an old size of 0. Emulators of user programs refuse that.
// There a second mapping is a mapping of the region's file, and lost memory is replaced by a spare file that can be
// mapped twice too.
//
// A signal handler walks the mappings when memory of the region was lost, see RegionRepair. It enters the gate first.
// Forget hides a mapping and then waits until the gate is empty, so that no handler uses a mapping that is forgotten.
//
// Thread-safety:       Attach and Map are called by one thread at a time (the store's lock); the rest by any thread.
// Async-signal-safety: ForEach, ReplaceMemory, Reconnect and gate() are safe; the others are not.
// Memory ordering:     `first_` publishes a new entry, and an entry's address publishes its row. Forget and ForEach are
//                      sequentially consistent with each other, see HandlerGate.
// Lifetime:            a mapping belongs to its owner until Unmap, and may outlive this object. An entry lives as long
//                      as this object; Map uses an entry again once its mapping is forgotten. The spare file lives as
//                      long as this object.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/handler_gate.h"
#include "base/status.h"

namespace vmm {

class RowMappings {
 public:
  struct Entry {
    std::atomic<void*> address{nullptr};  // null: the entry is free
    uint64_t granule = 0;                 // the mapped row, counted from the start of the region
    Entry* next = nullptr;
    char leaving = 0;  // `address` points here after Forget has hidden the mapping, while it waits for handlers
  };

  RowMappings() = default;
  ~RowMappings();
  RowMappings(const RowMappings&) = delete;
  RowMappings& operator=(const RowMappings&) = delete;

  // The region's own mapping begins at `base`. Its first granule has memory. `fd` is the descriptor of its memory,
  // which stays open; -1: it has none. With `is_file`, a forked child gets no mapping, because a mapping would keep the
  // parent's file locked.
  void Attach(unsigned char* base, uint32_t granule_bytes, bool is_file, int fd);
  // Prepares for the loss of memory of a region of `bytes`.
  void PrepareSpare(uint64_t bytes);

  // Maps a row that has memory. A mapping of a row without memory can never be touched.
  Status Map(uint64_t granule, Entry** entry, void** address);
  // After this, nothing here uses the mapping. Call it before Unmap, while the region lives.
  void Forget(void* address);
  // Forgets the mapping and puts throwaway memory in its place: a thread that still writes there changes nothing.
  void Disconnect(void* address);
  static void Unmap(void* address, size_t bytes);

  // Puts new memory, all 0, in the place of the region's own mapping of the granule.
  bool ReplaceMemory(uint64_t granule) const;
  // Replaces the mapping at `address` by a mapping of the memory that ReplaceMemory gave to the entry's granule.
  bool Reconnect(const Entry& entry, void* address) const;

  // Calls `visit(entry, address)` for each mapping until it returns true. The caller is inside the gate.
  template <typename Visit>
  void ForEach(Visit visit) {
    // Acquire: pairs with the release store in FreeEntry, which publishes a new entry.
    for (Entry* entry = first_.load(std::memory_order_acquire); entry != nullptr; entry = entry->next) {
      // Sequentially consistent, with Forget: either this sees no mapping, or Forget sees that the gate is entered.
      void* const address = entry->address.load(std::memory_order_seq_cst);
      if (address != nullptr && address != &entry->leaving && visit(*entry, address)) return;
    }
  }

  HandlerGate& gate() { return gate_; }

 private:
  Entry* FreeEntry();

  unsigned char* base_ = nullptr;
  uint32_t granule_bytes_ = 0;
  bool is_file_ = false;
  int fd_ = -1;
  bool can_duplicate_ = true;
  int spare_fd_ = -1;  // -1: mappings are duplicated, or there is no spare file
  std::atomic<Entry*> first_{nullptr};
  HandlerGate gate_;
};

}  // namespace vmm

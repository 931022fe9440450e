// A region is the mapping that holds all cells: a file of a given descriptor; else a memfd, or anonymous shared memory
// where a file of that size is not allowed.
//
// The header says to readers in other processes what the process itself keeps beside it (Control): the process must go
// on when the header is lost under it.
//
// Thread-safety:       Create, Back and MapRow are called by one thread at a time (the store's lock). ForgetRow may be
//                      called without the lock, and the rest by any thread.
// Async-signal-safety: the inline functions and Repair are safe; the others are not.
// Memory ordering:     see RegionHeader; the addresses never change while the region lives.
// Lifetime:            mapped from Create to destruction. Rows mapped for JavaScript are other mappings of the same
//                      memory and live until UnmapRow.

#pragma once

#include <sys/types.h>

#include <cstdint>

#include "base/handler_gate.h"
#include "base/status.h"
#include "region/cell.h"
#include "region/format.h"
#include "region/reservation.h"

namespace vmm {

struct RegionSpec {
  uint64_t schema_fingerprint = 0;
  // For readers in other processes; see docs/format.md.
  const char* document = "";
  uint64_t document_bytes = 0;
  // An empty file, which the region takes over; -1: none.
  int file = -1;
};

class Region {
 public:
  Region() = default;
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  // Reserves the address space and makes the header and the document. No chunk has memory yet, and none can be touched:
  // to touch a row that Back was not called for is a fault.
  Status Create(const RegionSpec& spec);

  // Gives memory to row `row` of chunk `chunk`, now, and locks it where the process locks its memory: a full disk,
  // tmpfs, or limit on file sizes or locked memory is an error here, never a SIGBUS or SIGXFSZ. (The limit of a memory
  // cgroup is no error of anything: the kernel's OOM killer ends the process.)
  Status Back(uint32_t chunk, uint32_t row);

  // A second mapping of one row that has memory, for one JavaScript thread: V8 forbids two ArrayBuffers over one
  // address. Of a row that Back was not called for it cannot be touched, also after Back.
  Status MapRow(uint32_t chunk, uint32_t row, void** address);
  static void UnmapRow(void* address, size_t bytes);
  // Before UnmapRow, while the region lives: nothing here looks at the row any more when it returns.
  void ForgetRow(void* address);
  // Puts throwaway memory in the place of a mapped row, and forgets it: who still writes there changes nothing.
  void DisconnectRow(void* address);

  // When `address` is in this region or a row of it: gives it other memory in the place of what was lost there, in
  // every mapping, all 0, and says so in `degraded`. False when the address is not ours, or the memory is not to be
  // had.
  bool Repair(void* address);

  // In a forked child: lets go of the parent's memory and file. What the child counts goes nowhere.
  void Abandon();

  // Gives up the lock on the file, so that another may take its place while this mapping lives on.
  void Unlock();

  RegionHeader& header() const { return *reinterpret_cast<RegionHeader*>(base()); }
  unsigned char* base() const { return space_.base(); }
  uint32_t granule_bytes() const { return granule_bytes_; }
  uint32_t chunk_cells() const { return 1u << chunk_shift_; }
  uint32_t chunk_of(uint32_t index) const { return index >> chunk_shift_; }
  uint32_t max_cells() const { return kCellsMax; }
  bool is_file() const { return is_file_; }
  // Of the file; it stays the region's. -1: there is none.
  int file() const { return is_file_ ? fd_ : -1; }

  // Where cell `index` of a row is, in bytes from the start of the region.
  uint64_t OffsetOf(uint32_t row, uint32_t index) const {
    return RowOffset(index >> chunk_shift_, row) + (index & (chunk_cells() - 1)) * sizeof(Cell);
  }
  Cell& At(uint32_t row, uint32_t index) const { return *reinterpret_cast<Cell*>(base() + OffsetOf(row, index)); }
  Cell& InShard(uint32_t shard, uint32_t index) const { return At(kFirstShardRow + shard, index); }
  Cell& InBank(uint32_t bank, uint32_t index) const { return At(bank, index); }
  DirectoryEntry& InDirectory(uint32_t entry) const {
    return reinterpret_cast<DirectoryEntry*>(base() +
                                             RowOffset(entry >> chunk_shift_, kFirstDirectoryRow))[entry & (chunk_cells() - 1)];
  }

  // What the header's fields of these names mean, with the same orders: acquire on reading, release on writing.
  uint64_t commit() const { return control_.commit.load(std::memory_order_acquire); }
  // The bank that holds the values as last flushed; a flush, and the retiring of devices, change it.
  uint32_t committed_bank() const { return BankOf(commit()); }
  uint32_t cells_used() const { return control_.cells_used.load(std::memory_order_acquire); }
  uint32_t shards_used() const { return control_.shards_used.load(std::memory_order_acquire); }
  uint32_t devices_used() const { return control_.devices_used.load(std::memory_order_acquire); }
  bool is_degraded() const { return control_.degraded.load(std::memory_order_acquire) != 0; }
  void SetCommit(uint64_t word) {
    control_.commit.store(word, std::memory_order_release);
    header().commit.store(word, std::memory_order_release);
  }
  void SetCellsUsed(uint32_t count) {
    control_.cells_used.store(count, std::memory_order_release);
    header().cells_used.store(count, std::memory_order_release);
  }
  void SetShardsUsed(uint32_t count) {
    control_.shards_used.store(count, std::memory_order_release);
    header().shards_used.store(count, std::memory_order_release);
  }
  void SetDevicesUsed(uint32_t count) {
    control_.devices_used.store(count, std::memory_order_release);
    header().devices_used.store(count, std::memory_order_release);
  }

 private:
  struct Control {
    std::atomic<uint64_t> commit{0};
    std::atomic<uint32_t> cells_used{0};
    std::atomic<uint32_t> shards_used{1};
    std::atomic<uint32_t> devices_used{0};
    std::atomic<uint32_t> degraded{0};
  };

  // A row that is mapped a second time. Never freed before the region; one without an address is used again.
  struct MappedRow {
    std::atomic<void*> address;
    uint32_t chunk;
    uint32_t row;
    MappedRow* next;
    char leaving;  // its own address, in `address`: the row is going, and a Repair may still look at it
    // Null: there is none. Sequentially consistent, with ForgetRow.
    void* Mapped() {
      void* const mapped = address.load(std::memory_order_seq_cst);
      return mapped == &leaving ? nullptr : mapped;
    }
  };

  enum Granule : uint8_t { kMapped = 0, kReplacing = 1, kReplaced = 2 };

  uint64_t RowOffset(uint32_t chunk, uint32_t row) const {
    return chunks_offset_ + (static_cast<uint64_t>(chunk) * kRows + row) * granule_bytes_;
  }
  void MakeMemoryFile();
  Status Allocate(uint64_t offset, uint64_t bytes);
  Status AllocateInFile(uint64_t offset, uint64_t bytes);
  Status PrepareRepairs();
  bool ReplaceGranule(uint64_t granule);
  void SetDegraded();
  bool ConnectRow(const MappedRow& row, void* address) const;

  Reservation space_;
  uint64_t chunks_offset_ = 0;
  uint32_t granule_bytes_ = 0;
  uint32_t chunk_shift_ = 0;
  int fd_ = -1;  // -1: anonymous
  bool is_file_ = false;
  off_t file_bytes_ = 0;  // that the file was given
  Control control_;
  std::atomic<MappedRow*> rows_{nullptr};
  // One a granule, in `states_`; of a region that is no file there are none.
  std::atomic<uint8_t>* granules_ = nullptr;
  Reservation states_;
  HandlerGate repairing_;
  std::atomic<uint32_t> repairs_{0};
};

}  // namespace vmm

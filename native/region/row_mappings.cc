#include "region/row_mappings.h"

#include <errno.h>
#include <sys/mman.h>

namespace vmm {

RowMappings::~RowMappings() {
  Entry* entry = first_.load(std::memory_order_relaxed);  // no other thread is left
  while (entry != nullptr) {
    Entry* const next = entry->next;
    delete entry;
    entry = next;
  }
}

void RowMappings::Attach(unsigned char* base, uint32_t granule_bytes, bool is_file) {
  base_ = base;
  granule_bytes_ = granule_bytes;
  is_file_ = is_file;
}

// Returns a free entry of the list. If there is none, makes one and adds it to the list.
RowMappings::Entry* RowMappings::FreeEntry() {
  Entry* entry = first_.load(std::memory_order_relaxed);  // written under the lock only
  // Acquire: pairs with the release store in Forget, after which no handler reads the entry's other fields.
  while (entry != nullptr && entry->address.load(std::memory_order_acquire) != nullptr) entry = entry->next;
  if (entry != nullptr) return entry;
  entry = new Entry;
  entry->next = first_.load(std::memory_order_relaxed);  // written under the lock only
  first_.store(entry, std::memory_order_release);        // publishes the entry to ForEach
  return entry;
}

Status RowMappings::Map(uint64_t granule, Entry** entry, void** address) {
  Entry* const free = FreeEntry();
  // An old size of 0 makes mremap leave the old mapping alone and map the same shared memory once more. Unlike a second
  // mmap it needs no descriptor, so it works for anonymous memory too.
  void* const mapped = mremap(base_ + granule * granule_bytes_, 0, granule_bytes_, MREMAP_MAYMOVE);
  if (mapped == MAP_FAILED) return {Code::kMemory, errno, "mremap"};
  // A forked child of Node runs no JavaScript, so it needs no mapping.
  if (is_file_) madvise(mapped, granule_bytes_, MADV_DONTFORK);
  free->granule = granule;
  free->address.store(mapped, std::memory_order_release);  // publishes the entry's row to ForEach
  *entry = free;
  *address = mapped;
  return {};
}

bool RowMappings::Reconnect(const Entry& entry, void* address) const {
  // An old size of 0, as in Map. MREMAP_FIXED replaces the mapping at `address` in one step.
  void* const from = base_ + entry.granule * granule_bytes_;
  return mremap(from, 0, granule_bytes_, MREMAP_MAYMOVE | MREMAP_FIXED, address) != MAP_FAILED;
}

void RowMappings::Forget(void* address) {
  Entry* entry = first_.load(std::memory_order_acquire);  // pairs with the release store in FreeEntry
  for (; entry != nullptr; entry = entry->next) {
    void* expected = address;
    // Sequentially consistent, with ForEach.
    if (entry->address.compare_exchange_strong(expected, &entry->leaving, std::memory_order_seq_cst)) break;
  }
  gate_.AwaitEmpty();
  // Release: pairs with the acquire load in FreeEntry. Only now may Map use the entry again.
  if (entry != nullptr) entry->address.store(nullptr, std::memory_order_release);
}

void RowMappings::Disconnect(void* address) {
  Forget(address);
  // MAP_FIXED replaces the mapping in one step: a concurrent write goes to the old memory or to the new memory.
  mmap(address, granule_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

void RowMappings::Unmap(void* address, size_t bytes) { munmap(address, bytes); }

}  // namespace vmm

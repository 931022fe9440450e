#include "region/row_mappings.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file_limit.h"

namespace vmm {

namespace {

constexpr int kReadWrite = PROT_READ | PROT_WRITE;

}  // namespace

RowMappings::~RowMappings() {
  if (spare_fd_ >= 0) close(spare_fd_);
  Entry* entry = first_.load(std::memory_order_relaxed);  // no other thread is left
  while (entry != nullptr) {
    Entry* const next = entry->next;
    delete entry;
    entry = next;
  }
}

void RowMappings::Attach(unsigned char* base, uint32_t granule_bytes, bool is_file, int fd) {
  base_ = base;
  granule_bytes_ = granule_bytes;
  is_file_ = is_file;
  fd_ = fd;
  // An old size of 0 makes mremap leave the old mapping alone and map the same shared memory once more. Unlike a second
  // mmap it needs no descriptor, so it works for anonymous memory too. QEMU's emulation of user programs refuses it.
  void* const duplicate = mremap(base_, 0, granule_bytes_, MREMAP_MAYMOVE);
  can_duplicate_ = duplicate != MAP_FAILED || errno == EAGAIN;  // EAGAIN: the limit of locked memory
  if (duplicate != MAP_FAILED) munmap(duplicate, granule_bytes_);
}

void RowMappings::PrepareSpare(uint64_t bytes) {
  if (can_duplicate_) return;
  const FileLimitGuard guard;
  spare_fd_ = memfd_create("vmm-metrics-spare", MFD_CLOEXEC);  // without memory, until memory is lost
  if (spare_fd_ < 0 || ftruncate(spare_fd_, static_cast<off_t>(bytes)) == 0) return;
  close(spare_fd_);
  spare_fd_ = -1;
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
  const uint64_t offset = granule * granule_bytes_;
  void* const mapped = can_duplicate_ || fd_ < 0
                           ? mremap(base_ + offset, 0, granule_bytes_, MREMAP_MAYMOVE)
                           : mmap(nullptr, granule_bytes_, kReadWrite, MAP_SHARED, fd_, static_cast<off_t>(offset));
  if (mapped == MAP_FAILED) return {Code::kMemory, errno, can_duplicate_ || fd_ < 0 ? "mremap" : "mmap"};
  // A forked child of Node runs no JavaScript, so it needs no mapping.
  if (is_file_) madvise(mapped, granule_bytes_, MADV_DONTFORK);
  free->granule = granule;
  free->address.store(mapped, std::memory_order_release);  // publishes the entry's row to ForEach
  *entry = free;
  *address = mapped;
  return {};
}

bool RowMappings::ReplaceMemory(uint64_t granule) const {
  const uint64_t offset = granule * granule_bytes_;
  const int flags = MAP_SHARED | MAP_FIXED | (spare_fd_ < 0 ? MAP_ANONYMOUS : 0);
  const off_t spare_offset = spare_fd_ < 0 ? 0 : static_cast<off_t>(offset);
  return mmap(base_ + offset, granule_bytes_, kReadWrite, flags, spare_fd_, spare_offset) != MAP_FAILED;
}

bool RowMappings::Reconnect(const Entry& entry, void* address) const {
  const uint64_t offset = entry.granule * granule_bytes_;
  if (spare_fd_ >= 0) {
    return mmap(address, granule_bytes_, kReadWrite, MAP_SHARED | MAP_FIXED, spare_fd_, static_cast<off_t>(offset)) != MAP_FAILED;
  }
  // An old size of 0, as in Attach. MREMAP_FIXED replaces the mapping at `address` in one step.
  return mremap(base_ + offset, 0, granule_bytes_, MREMAP_MAYMOVE | MREMAP_FIXED, address) != MAP_FAILED;
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
  mmap(address, granule_bytes_, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

void RowMappings::Unmap(void* address, size_t bytes) { munmap(address, bytes); }

}  // namespace vmm

#include "region/reservation.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

namespace vmm {

namespace {

// The smallest piece of shared memory that gets a mapping of its own.
constexpr uint64_t kPieceBytesMin = 256 * 1024;

// Whether the page is locked: the kernel refuses to drop a locked page. This needs no /proc, and works for MCL_ONFAULT
// too.
bool IsPageLocked(void* page, uint64_t page_bytes) { return madvise(page, page_bytes, MADV_DONTNEED) != 0 && errno == EINVAL; }

}  // namespace

Reservation::~Reservation() {
  if (base_ != nullptr) munmap(base_, bytes_);
}

Status Reservation::Make(uint64_t bytes, Of what, int fd) {
  const uint64_t page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const int flags = (what == Of::kFile ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS) | MAP_NORESERVE;
  // Maps one page only, because the whole of a new mapping would count as locked. After munlock, the mapping grows and
  // stays unlocked.
  void* const page = mmap(nullptr, page_bytes, PROT_NONE, flags, what == Of::kFile ? fd : -1, 0);
  if (page == MAP_FAILED) return {Code::kMemory, errno, "mmap"};
  is_locked_ = IsPageLocked(page, page_bytes);
  if (is_locked_) munlock(page, page_bytes);
  void* const all = mremap(page, page_bytes, bytes, MREMAP_MAYMOVE);
  if (all == MAP_FAILED) {
    const int error = errno;
    munmap(page, page_bytes);
    return {Code::kMemory, error, "mremap"};
  }
  base_ = static_cast<unsigned char*>(all);
  bytes_ = bytes;
  return what == Of::kShared ? MapPieces() : Status{};
}

// Anonymous shared memory cannot grow: it is as large as its first mapping. So this maps all of it, over the reserved
// range. If the whole range is more than the process may lock, it maps several smaller pieces, and unlocks each before
// the next.
Status Reservation::MapPieces() {
  const int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  uint64_t piece_bytes = bytes_;
  for (uint64_t at = 0; at < bytes_;) {
    if (piece_bytes > bytes_ - at) piece_bytes = bytes_ - at;
    if (mmap(base_ + at, piece_bytes, PROT_NONE, flags, -1, 0) == MAP_FAILED) {
      const uint64_t page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
      if (errno != EAGAIN || piece_bytes < kPieceBytesMin) return {Code::kMemory, errno, "mmap"};
      piece_bytes = piece_bytes / 2 / page_bytes * page_bytes;
      continue;
    }
    if (is_locked_) munlock(base_ + at, piece_bytes);
    at += piece_bytes;
  }
  return {};
}

Status Reservation::Use(uint64_t offset, uint64_t bytes) {
  if (mprotect(base_ + offset, bytes, PROT_READ | PROT_WRITE) != 0) return {Code::kMemory, errno, "mprotect"};
  if (is_locked_ && mlock(base_ + offset, bytes) != 0) return {Code::kMemory, errno, "mlock"};
  return {};
}

}  // namespace vmm

#include "region/reservation.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

namespace vmm {

namespace {

// The smallest piece of shared memory that is worth a mapping of its own.
constexpr uint64_t kPieceBytesMin = 256 * 1024;

// The kernel drops no page of locked memory. This needs no /proc, and sees MCL_ONFAULT too.
bool IsLocked(void* page, uint64_t page_bytes) { return madvise(page, page_bytes, MADV_DONTNEED) != 0 && errno == EINVAL; }

}  // namespace

Reservation::~Reservation() {
  if (base_ != nullptr) munmap(base_, bytes_);
}

Status Reservation::Make(uint64_t bytes, Of what, int fd) {
  const uint64_t page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const int flags = (what == Of::kFile ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS) | MAP_NORESERVE;
  // One page, since a new mapping counts as locked as a whole. Once it is unlocked it can grow, and does not.
  void* const page = mmap(nullptr, page_bytes, PROT_NONE, flags, what == Of::kFile ? fd : -1, 0);
  if (page == MAP_FAILED) return {Code::kMemory, errno, "mmap"};
  is_locked_ = IsLocked(page, page_bytes);
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

// Shared memory without a file cannot grow: it is as large as its first mapping. So it is made in pieces, in the place
// of the space that was reserved: one, or more where that is more than may be locked, since each is unlocked before the
// next is made.
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

#include "region.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <new>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace vmm {

namespace {

bool MayFileHave(uint64_t bytes) {
  rlimit limit;
  return getrlimit(RLIMIT_FSIZE, &limit) == 0 && (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= bytes);
}

}  // namespace

Status Region::Create(uint64_t schema_fingerprint) {
  granule_bytes_ = static_cast<uint32_t>(sysconf(_SC_PAGESIZE));
  chunk_shift_ = static_cast<uint32_t>(__builtin_ctz(granule_bytes_ / sizeof(Cell)));
  reserved_bytes_ = granule_bytes_ + static_cast<uint64_t>(kMaxChunks) * kRows * granule_bytes_;

  fd_ = memfd_create("vmm-metrics", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  // RLIMIT_FSIZE counts for a memfd too, and a jailed VMM has one. Anonymous shared memory is under no such limit; what is
  // lost is only that others can find it under /proc. It must hold for the last row too, since the first may be under a limit
  // that the shards are past; and to try is no way to ask, since it raises SIGXFSZ.
  if (fd_ >= 0 && (!MayFileHave(reserved_bytes_) || fallocate(fd_, 0, 0, granule_bytes_) != 0)) {
    close(fd_);
    fd_ = -1;
  }
  // Nobody who opens it under /proc can truncate it, which would turn our next add into a SIGBUS.
  if (fd_ >= 0) fcntl(fd_, F_ADD_SEALS, F_SEAL_SHRINK);
  const int flags = MAP_SHARED | MAP_NORESERVE | (fd_ < 0 ? MAP_ANONYMOUS : 0);
  void* base = mmap(nullptr, reserved_bytes_, PROT_READ | PROT_WRITE, flags, fd_, 0);
  if (base == MAP_FAILED) return {Code::kMemory, errno, "mmap"};
  base_ = static_cast<unsigned char*>(base);
  // A core would be as large as the address space; Back puts in what is used.
  madvise(base_, reserved_bytes_, MADV_DONTDUMP);
  if (Status status = Allocate(0, granule_bytes_); !status.ok()) return status;

  RegionHeader* header = new (base_) RegionHeader{};
  header->magic = kMagic;
  header->version = kFormatVersion;
  header->granule_bytes = granule_bytes_;
  header->shards = kShards;
  header->banks = kBanks;
  header->schema_fingerprint = schema_fingerprint;
  header->process_id = getpid();
  // Relaxed, all four: nobody else knows of the region yet.
  header->state.store(static_cast<uint32_t>(RegionState::kRunning), std::memory_order_relaxed);
  header->shards_used.store(1, std::memory_order_relaxed);
  return {};
}

Region::~Region() {
  if (base_ != nullptr) munmap(base_, reserved_bytes_);
  if (fd_ >= 0) close(fd_);
}

Status Region::Allocate(uint64_t offset, uint64_t bytes) {
  madvise(base_ + offset, bytes, MADV_DODUMP);
  if (fd_ >= 0) {
    while (fallocate(fd_, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes)) != 0) {
      if (errno != EINTR) return {Code::kMemory, errno, "fallocate"};
    }
    return {};
  }
  // Kernels before 5.14 do not know this advice; there the pages come when they are touched, as for any memory.
  if (madvise(base_ + offset, bytes, MADV_POPULATE_WRITE) != 0 && errno != EINVAL) return {Code::kMemory, errno, "madvise"};
  return {};
}

Status Region::Back(uint32_t chunk, uint32_t row) {
  return Allocate(granule_bytes_ + (static_cast<uint64_t>(chunk) * kRows + row) * granule_bytes_, granule_bytes_);
}

Status Region::MapRow(uint32_t chunk, uint32_t row, void** address) const {
  // An old size of 0 makes mremap leave the old mapping alone and map the same shared memory once more; unlike a second
  // mmap it needs no descriptor, so anonymous regions work too.
  void* from = base_ + granule_bytes_ + (static_cast<uint64_t>(chunk) * kRows + row) * granule_bytes_;
  void* mapped = mremap(from, 0, granule_bytes_, MREMAP_MAYMOVE);
  if (mapped == MAP_FAILED) return {Code::kMemory, errno, "mremap"};
  *address = mapped;
  return {};
}

void Region::UnmapRow(void* address, size_t bytes) { munmap(address, bytes); }

void Region::DisconnectRow(void* address) const {
  // MAP_FIXED replaces the mapping in one step: a concurrent write goes to the old memory or to the new, never nowhere.
  mmap(address, granule_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

}  // namespace vmm

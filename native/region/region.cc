#include "region/region.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <new>

#include "base/file_limit.h"
#include "base/process_identity.h"
#include "base/signal_mask.h"

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

Status Region::Create(const RegionSpec& spec) {
  granule_bytes_ = static_cast<uint32_t>(sysconf(_SC_PAGESIZE));
  chunk_shift_ = static_cast<uint32_t>(__builtin_ctz(granule_bytes_ / sizeof(Cell)));
  const uint64_t document_granules = (spec.document_bytes + granule_bytes_ - 1) / granule_bytes_;
  chunks_offset_ = (1 + document_granules) * granule_bytes_;
  const uint64_t reserved_bytes = chunks_offset_ + static_cast<uint64_t>(kMaxChunks) * kRows * granule_bytes_;

  is_file_ = spec.file >= 0;
  fd_ = spec.file;
  if (!is_file_) MakeMemoryFile();
  const Reservation::Of what = fd_ >= 0 ? Reservation::Of::kFile : Reservation::Of::kShared;
  if (Status status = space_.Make(reserved_bytes, what, fd_); !status.ok()) return status;
  // A core dump would be as large as the address space; Allocate includes what is in use.
  madvise(base(), reserved_bytes, MADV_DONTDUMP);
  if (Status status = Allocate(0, chunks_offset_); !status.ok()) return status;
  rows_.Attach(base(), granule_bytes_, is_file_, fd_);
  if (is_file_) {
    if (Status status = repair_.Prepare(granule_bytes_); !status.ok()) return status;
  }
  WriteHeader(spec);
  return {};
}

void Region::WriteHeader(const RegionSpec& spec) {
  RegionHeader* header = new (base()) RegionHeader{};
  header->magic = kMagic;
  header->version = kFormatVersion;
  header->byte_order = kByteOrder;
  header->granule_bytes = granule_bytes_;
  header->shards = kShards;
  header->banks = kBanks;
  header->directory_rows = kDirectoryRows;
  header->schema_fingerprint = spec.schema_fingerprint;
  header->document_offset = granule_bytes_;
  header->document_bytes = spec.document_bytes;
  header->chunks_offset = chunks_offset_;
  const ProcessIdentity self = ThisProcess();
  header->process_id = self.process_id;
  header->process_start_ticks = self.start_ticks;
  header->process_start_realtime_ns = self.start_realtime_ns;
  std::memcpy(header->boot_id, self.boot_id, sizeof(header->boot_id));
  if (spec.document_bytes != 0) std::memcpy(base() + granule_bytes_, spec.document, spec.document_bytes);
  // Relaxed, all: no other thread or process knows of the region yet.
  header->exit_code.store(-1, std::memory_order_relaxed);
  header->state.store(static_cast<uint32_t>(RegionState::kRunning), std::memory_order_relaxed);
  header->shards_used.store(1, std::memory_order_relaxed);
}

// Makes a memfd as large as the reserved address space, with memory for the first granule only. Where that is not
// allowed, fd_ stays -1, and the region becomes anonymous shared memory, which other processes cannot find under /proc.
// The usual reason is RLIMIT_FSIZE, which a jailed VMM has. The limit applies when a file grows, so it does not concern
// a memfd that has its length already. The limit is read first, since an attempt to exceed it would raise SIGXFSZ.
void Region::MakeMemoryFile() {
  const uint64_t bytes = chunks_offset_ + static_cast<uint64_t>(kMaxChunks) * kRows * granule_bytes_;
  fd_ = memfd_create("vmm-metrics", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd_ < 0) return;
  const FileLimitGuard guard;  // the limit may be set after it was read
  if (!MayFileHave(bytes) || ftruncate(fd_, static_cast<off_t>(bytes)) != 0 || fallocate(fd_, 0, 0, granule_bytes_) != 0) {
    close(fd_);
    fd_ = -1;
    return;
  }
  // A process that opens the memfd under /proc must not truncate it: our next add would be a SIGBUS.
  fcntl(fd_, F_ADD_SEALS, F_SEAL_SHRINK);
  // This tells a process that reads the memfd there that we are alive: a region without a lock belongs to a dead
  // process.
  flock(fd_, LOCK_EX | LOCK_NB);
}

Region::~Region() {
  if (fd_ >= 0) close(fd_);
}

Status Region::Allocate(uint64_t offset, uint64_t bytes) {
  if (fd_ >= 0) {
    if (Status status = AllocateInFile(offset, bytes); !status.ok()) return status;
  }
  if (Status status = space_.Use(offset, bytes); !status.ok()) return status;
  madvise(base() + offset, bytes, MADV_DODUMP);
  // Kernels before 5.14 do not know this advice. On those kernels, a page gets its memory when it is first touched, as
  // usual.
  if (fd_ < 0 && madvise(base() + offset, bytes, MADV_POPULATE_WRITE) != 0 && errno != EINVAL) {
    return {Code::kMemory, errno, "madvise"};
  }
  return {};
}

Status Region::AllocateInFile(uint64_t offset, uint64_t bytes) {
  const FileLimitGuard guard;
  // If the file was cut short and then grew again, the lost part is a hole now: its values are lost without a SIGBUS.
  struct stat info;
  if (is_file_ && fstat(fd_, &info) == 0 && info.st_size < file_bytes_) SetDegraded();
  while (fallocate(fd_, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes)) != 0) {
    if (errno == EINTR) continue;
    if (errno != EOPNOTSUPP) return {Code::kMemory, errno, "fallocate"};
    // The file system has no fallocate: the C library writes a byte to each missing block instead.
    const int error = posix_fallocate(fd_, static_cast<off_t>(offset), static_cast<off_t>(bytes));
    if (error != 0) return {Code::kMemory, error, "posix_fallocate"};
    break;
  }
  if (file_bytes_ < static_cast<off_t>(offset + bytes)) file_bytes_ = static_cast<off_t>(offset + bytes);
  return {};
}

Status Region::AllocateRow(uint32_t chunk, uint32_t row) { return Allocate(RowOffset(chunk, row), granule_bytes_); }

Status Region::MapRow(uint32_t chunk, uint32_t row, void** address) {
  return MapGranule(RowOffset(chunk, row) / granule_bytes_, address);
}

Status Region::MapHeader(void** address) { return MapGranule(0, address); }

Status Region::MapGranule(uint64_t granule, void** address) {
  RowMappings::Entry* entry = nullptr;
  if (Status status = rows_.Map(granule, &entry, address); !status.ok()) return status;
  repair_.CatchUp(*entry, *address);
  return {};
}

bool Region::Repair(void* address) {
  if (!is_file_) return false;
  const SignalMask mask(SignalMask::Faults::kBlocked);  // see RegionRepair::Repair
  if (!repair_.Repair(address)) return false;
  SetDegraded();
  return true;
}

void Region::SetDegraded() {
  // Release, both: publishes the new memory to readers of the flag.
  control_.degraded.store(1, std::memory_order_release);
  header().degraded.store(1, std::memory_order_release);  // when the header itself is lost, this store repairs it
}

void Region::Abandon() {
  // The parent's lock on the file lasts as long as any process has the file open or mapped.
  mmap(base(), space_.bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  repair_.Abandon();
}

void Region::Unlock() {
  if (is_file_ && fd_ >= 0) flock(fd_, LOCK_UN);
}

}  // namespace vmm

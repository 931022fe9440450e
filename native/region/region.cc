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

#include "base/clock.h"
#include "base/file_limit.h"
#include "base/process_identity.h"
#include "base/signal_mask.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace vmm {

namespace {

// More repairs than this of one region are no loss of memory but something that repairs do not mend.
constexpr uint32_t kRepairsMax = 4 * kMaxChunks * kRows;

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
  // A core would be as large as the address space; Back puts in what is used.
  madvise(base(), reserved_bytes, MADV_DONTDUMP);
  if (Status status = Allocate(0, chunks_offset_); !status.ok()) return status;
  if (is_file_) {
    if (Status status = PrepareRepairs(); !status.ok()) return status;
  }

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
  // Relaxed, both: nobody else knows of the region yet.
  header->state.store(static_cast<uint32_t>(RegionState::kRunning), std::memory_order_relaxed);
  header->shards_used.store(1, std::memory_order_relaxed);
  return {};
}

// A memfd of the size that is reserved, of which nothing has memory; none where that is not allowed. RLIMIT_FSIZE
// counts for a memfd too, and a jailed VMM has one: anonymous shared memory is under no such limit, and what is lost is
// only that others can find it under /proc. What has its size already is under no limit either, whenever that comes. To
// try is no way to ask, since it raises SIGXFSZ.
void Region::MakeMemoryFile() {
  const uint64_t bytes = chunks_offset_ + static_cast<uint64_t>(kMaxChunks) * kRows * granule_bytes_;
  fd_ = memfd_create("vmm-metrics", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd_ < 0) return;
  const FileLimitGuard guard;  // the limit may come this very moment
  if (!MayFileHave(bytes) || ftruncate(fd_, static_cast<off_t>(bytes)) != 0 || fallocate(fd_, 0, 0, granule_bytes_) != 0) {
    close(fd_);
    fd_ = -1;
    return;
  }
  // Nobody who opens it under /proc can truncate it, which would turn our next add into a SIGBUS.
  fcntl(fd_, F_ADD_SEALS, F_SEAL_SHRINK);
  // For who reads it there: a region that nobody holds is that of a dead process.
  flock(fd_, LOCK_EX | LOCK_NB);
}

Region::~Region() {
  if (fd_ >= 0) close(fd_);
  MappedRow* row = rows_.load(std::memory_order_relaxed);  // nobody else is left
  while (row != nullptr) {
    MappedRow* const next = row->next;
    delete row;
    row = next;
  }
}

Status Region::Allocate(uint64_t offset, uint64_t bytes) {
  if (fd_ >= 0) {
    if (Status status = AllocateInFile(offset, bytes); !status.ok()) return status;
  }
  if (Status status = space_.Use(offset, bytes); !status.ok()) return status;
  madvise(base() + offset, bytes, MADV_DODUMP);
  // Kernels before 5.14 do not know this advice; there the pages come when they are touched, as for any memory.
  if (fd_ < 0 && madvise(base() + offset, bytes, MADV_POPULATE_WRITE) != 0 && errno != EINVAL) {
    return {Code::kMemory, errno, "madvise"};
  }
  return {};
}

Status Region::AllocateInFile(uint64_t offset, uint64_t bytes) {
  const FileLimitGuard guard;
  // What was cut off and comes back as holes raises no SIGBUS, and is lost all the same.
  struct stat info;
  if (is_file_ && fstat(fd_, &info) == 0 && info.st_size < file_bytes_) SetDegraded();
  while (fallocate(fd_, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes)) != 0) {
    if (errno == EINTR) continue;
    if (errno != EOPNOTSUPP) return {Code::kMemory, errno, "fallocate"};
    // A file system that cannot: the C library writes a byte to each block that is not there yet.
    const int error = posix_fallocate(fd_, static_cast<off_t>(offset), static_cast<off_t>(bytes));
    if (error != 0) return {Code::kMemory, error, "posix_fallocate"};
    break;
  }
  if (file_bytes_ < static_cast<off_t>(offset + bytes)) file_bytes_ = static_cast<off_t>(offset + bytes);
  return {};
}

Status Region::Back(uint32_t chunk, uint32_t row) { return Allocate(RowOffset(chunk, row), granule_bytes_); }

bool Region::ConnectRow(const MappedRow& row, void* address) const {
  // An old size of 0 makes mremap leave the old mapping alone and map the same shared memory once more; unlike a second
  // mmap it needs no descriptor, so anonymous regions work too. In the place of what is there it does so in one step.
  void* from = base() + RowOffset(row.chunk, row.row);
  return mremap(from, 0, granule_bytes_, MREMAP_MAYMOVE | MREMAP_FIXED, address) != MAP_FAILED;
}

Status Region::MapRow(uint32_t chunk, uint32_t row, void** address) {
  MappedRow* entry = rows_.load(std::memory_order_relaxed);  // written under the lock only
  // Acquire: pairs with the release in ForgetRow, after which nobody reads the entry's other fields.
  while (entry != nullptr && entry->address.load(std::memory_order_acquire) != nullptr) entry = entry->next;
  const bool is_new = entry == nullptr;
  if (is_new) entry = new MappedRow{{nullptr}, 0, 0, rows_.load(std::memory_order_relaxed), 0};
  entry->chunk = chunk;
  entry->row = row;
  void* mapped = mremap(base() + RowOffset(chunk, row), 0, granule_bytes_, MREMAP_MAYMOVE);  // see ConnectRow
  if (mapped == MAP_FAILED) {
    const int error = errno;
    if (is_new) delete entry;
    return {Code::kMemory, error, "mremap"};
  }
  // A forked child of Node runs no JavaScript, and must not keep the file locked.
  if (is_file_) madvise(mapped, granule_bytes_, MADV_DONTFORK);
  // Release, both: publishes the entry to Repair.
  entry->address.store(mapped, std::memory_order_release);
  if (is_new) rows_.store(entry, std::memory_order_release);
  // What was replaced between the mapping and its entry: sequentially consistent, with Repair, which changes the state
  // of the granule first and looks at the entries then.
  if (granules_ != nullptr) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const uint64_t granule = RowOffset(chunk, row) / granule_bytes_;
    while (granules_[granule].load(std::memory_order_acquire) == kReplacing) SleepUs(20);
    if (granules_[granule].load(std::memory_order_acquire) == kReplaced) ConnectRow(*entry, mapped);
  }
  *address = mapped;
  return {};
}

void Region::UnmapRow(void* address, size_t bytes) { munmap(address, bytes); }

void Region::ForgetRow(void* address) {
  MappedRow* row = rows_.load(std::memory_order_acquire);
  for (; row != nullptr; row = row->next) {
    // Sequentially consistent, with Repair: either it sees no address, or this sees that it is at work.
    void* expected = address;
    if (row->address.compare_exchange_strong(expected, &row->leaving, std::memory_order_seq_cst)) break;
  }
  repairing_.AwaitEmpty();
  // Release: only now may MapRow use it again.
  if (row != nullptr) row->address.store(nullptr, std::memory_order_release);
}

void Region::DisconnectRow(void* address) {
  ForgetRow(address);
  // MAP_FIXED replaces the mapping in one step: a concurrent write goes to the old memory or to the new, never nowhere.
  mmap(address, granule_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

Status Region::PrepareRepairs() {
  // All zeros is kMapped; pages come as they are touched.
  const uint64_t bytes = (space_.bytes() / granule_bytes_ + granule_bytes_ - 1) / granule_bytes_ * granule_bytes_;
  if (Status status = states_.Make(bytes, Reservation::Of::kPrivate); !status.ok()) return status;
  if (mprotect(states_.base(), bytes, PROT_READ | PROT_WRITE) != 0) return {Code::kMemory, errno, "mprotect"};
  granules_ = reinterpret_cast<std::atomic<uint8_t>*>(states_.base());
  return {};
}

bool Region::Repair(void* address) {
  if (granules_ == nullptr) return false;
  // The handler of a signal on this thread would wait for the memory that is being replaced here, for ever.
  SignalMask mask(SignalMask::Faults::kBlocked);
  // Sequentially consistent, with ForgetRow.
  const HandlerGate::Inside repairing(repairing_);
  bool is_repaired = false;
  const unsigned char* const at = static_cast<unsigned char*>(address);
  if (at >= base() && at < base() + space_.bytes()) {
    is_repaired = ReplaceGranule(static_cast<uint64_t>(at - base()) / granule_bytes_);
  } else {
    for (MappedRow* row = rows_.load(std::memory_order_acquire); row != nullptr; row = row->next) {
      const unsigned char* const mapped = static_cast<unsigned char*>(row->Mapped());
      if (mapped == nullptr || at < mapped || at >= mapped + granule_bytes_) continue;
      is_repaired = ReplaceGranule(RowOffset(row->chunk, row->row) / granule_bytes_);
      break;
    }
  }
  return is_repaired;
}

bool Region::ReplaceGranule(uint64_t granule) {
  // A count that publishes nothing.
  if (repairs_.fetch_add(1, std::memory_order_relaxed) > kRepairsMax) return false;
  std::atomic<uint8_t>& state = granules_[granule];
  uint8_t expected = kMapped;
  // Acquire-release: one thread replaces the memory; the others go on once it is there.
  if (!state.compare_exchange_strong(expected, kReplacing, std::memory_order_acq_rel)) {
    while (state.load(std::memory_order_acquire) == kReplacing) SleepUs(20);
    return state.load(std::memory_order_acquire) == kReplaced;
  }
  void* const place = base() + granule * granule_bytes_;
  const int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED;
  if (mmap(place, granule_bytes_, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) {
    state.store(kMapped, std::memory_order_release);  // as it was
    return false;
  }
  // A row's other mappings are of the old memory, whether that is gone for them or will come back when somebody makes
  // the file longer again: what is written there must be what is summed here.
  std::atomic_thread_fence(std::memory_order_seq_cst);  // with MapRow
  for (MappedRow* row = rows_.load(std::memory_order_acquire); row != nullptr; row = row->next) {
    void* const mapped = row->Mapped();
    if (mapped != nullptr && RowOffset(row->chunk, row->row) / granule_bytes_ == granule) ConnectRow(*row, mapped);
  }
  state.store(kReplaced, std::memory_order_release);  // the memory is there for who sees it
  SetDegraded();
  return true;
}

void Region::SetDegraded() {
  // Release, both: what was replaced is there for who sees it.
  control_.degraded.store(1, std::memory_order_release);
  header().degraded.store(1, std::memory_order_release);  // the header itself may be lost, and is repaired then
}

void Region::Abandon() {
  // The parent's lock lives as long as somebody has its file open or mapped.
  mmap(base(), space_.bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  // Threads of the parent that were at it are not here to end it.
  granules_ = nullptr;
  repairing_.Reset();
}

void Region::Unlock() {
  if (is_file_ && fd_ >= 0) flock(fd_, LOCK_UN);
}

}  // namespace vmm

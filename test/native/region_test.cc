// Region: where cells are; that every mapping of a row is the same memory until it is disconnected; and that a region
// in a file goes on when memory of it is lost.

#include "region/region.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "child.h"
#include "crash/capture.h"
#include "host_handler.h"
#include "region/region_guard.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

TEST("given a new region, when its header is read, then it says what it is, and a granule is a page") {
  Region region;
  CHECK(region.Create({0x1234}).ok());
  const RegionHeader& header = region.header();
  CHECK_EQ(header.magic, kMagic);
  CHECK_EQ(std::string(reinterpret_cast<const char*>(&header.magic), 8), "VMTRICS1");
  CHECK_EQ(header.version, kFormatVersion);
  CHECK_EQ(header.granule_bytes, sysconf(_SC_PAGESIZE));
  CHECK_EQ(header.shards, kShards);
  CHECK_EQ(header.banks, kBanks);
  CHECK_EQ(header.schema_fingerprint, 0x1234);
  CHECK_EQ(header.process_id, getpid());
  CHECK_EQ(header.state.load(), static_cast<uint32_t>(RegionState::kRunning));
  CHECK_EQ(header.commit.load(), 0);
  CHECK_EQ(header.cells_used.load(), 0);
  CHECK_EQ(header.shards_used.load(), 1);
  CHECK_EQ(header.crash.signal.load(), 0);
  CHECK_EQ(region.chunk_cells() * sizeof(Cell), region.granule_bytes());
  CHECK_EQ(region.chunk_cells() % kRunCells, 0);
  CHECK_EQ(region.max_cells(), kMaxChunks * region.chunk_cells());
}

TEST("given any row and cell, when their offsets are computed, then none is used twice and each row is one aligned granule") {
  Region region;
  CHECK(region.Create({}).ok());
  const uint32_t chunk_cells = region.chunk_cells();
  std::set<uint64_t> offsets;
  size_t asked = 0;
  for (const uint32_t chunk : {0u, 1u, 2u, kMaxChunks - 1}) {
    for (uint32_t row = 0; row < kRows; row++) {
      const uint64_t first = region.OffsetOf(row, chunk * chunk_cells);
      CHECK_EQ(first % region.granule_bytes(), 0);
      CHECK(first >= region.granule_bytes());  // past the header
      CHECK_EQ(region.OffsetOf(row, chunk * chunk_cells + chunk_cells - 1), first + region.granule_bytes() - sizeof(Cell));
      CHECK_EQ(region.chunk_of(chunk * chunk_cells + chunk_cells - 1), chunk);
      for (const uint32_t in_chunk : {0u, 1u, chunk_cells / 2, chunk_cells - 1}) {
        offsets.insert(region.OffsetOf(row, chunk * chunk_cells + in_chunk));
        asked++;
      }
    }
  }
  CHECK_EQ(offsets.size(), asked);
}

TEST("given a shard, when a cell's offset in it is taken, then it is the same in every shard") {
  Region region;
  CHECK(region.Create({}).ok());
  for (const uint32_t index : {1u, 511u, 512u, 5000u}) {
    const uint64_t expected = region.OffsetOf(kFirstShardRow, index) - region.OffsetOf(kFirstShardRow, 0);
    for (uint32_t shard = 1; shard < kShards; shard++) {
      CHECK_EQ(region.OffsetOf(kFirstShardRow + shard, index) - region.OffsetOf(kFirstShardRow + shard, 0), expected);
    }
  }
}

std::atomic<uint64_t>& Word(void* row, uint32_t in_chunk) { return static_cast<Cell*>(row)[in_chunk].word; }

void CheckRowsShareMemory() {
  Region region;
  if (!CHECK(region.Create({}).ok())) return;
  const uint32_t row = kFirstShardRow + 5;
  const uint32_t index = region.chunk_cells() + 7;  // cell 7 of chunk 1
  CHECK(region.AllocateRow(1, row).ok());
  void* first = nullptr;
  void* second = nullptr;
  CHECK(region.MapRow(1, row, &first).ok());
  CHECK(region.MapRow(1, row, &second).ok());
  CHECK(first != second);

  Word(first, 7) = 11;
  CHECK_EQ(Read(region.InShard(5, index)), 11);
  CHECK_EQ(Word(second, 7).load(), 11);
  AddShared(region.InShard(5, index), 1);
  CHECK_EQ(Word(first, 7).load(), 12);
  CHECK_EQ(Read(region.InShard(5, index + 1)), 0);

  // Whoever still writes to a disconnected row writes to nobody; the others go on.
  region.DisconnectRow(first);
  CHECK_EQ(Word(first, 7).load(), 0);
  Word(first, 7) = 99;
  CHECK_EQ(Read(region.InShard(5, index)), 12);
  Word(second, 7) = 13;
  CHECK_EQ(Read(region.InShard(5, index)), 13);

  region.UnmapRow(first, region.granule_bytes());
  region.UnmapRow(second, region.granule_bytes());
  CHECK_EQ(Read(region.InShard(5, index)), 13);
}

TEST("given a row, when it is mapped again, then both are the same memory until it is disconnected") { CheckRowsShareMemory(); }

// In a child, since it counts for all that comes after. Its signal, SIGXFSZ, is left to kill: a host need not ignore it
// as Node does.
void LimitFileSize(rlim_t bytes) {
  const rlimit limit = {bytes, bytes};
  CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

TEST("given a process that may make no file, when a region is made, then it is anonymous, and rows are shared all the same") {
  CheckInChild([] {
    LimitFileSize(0);
    CheckRowsShareMemory();
  });
}

TEST("given a file size limit that only the first pages are under, when later rows get memory, then they get it") {
  CheckInChild([] {
    LimitFileSize(64 * 1024);
    Region region;
    CHECK(region.Create({}).ok());
    for (const uint32_t chunk : {0u, 1u, kMaxChunks - 1}) {
      for (const uint32_t row : {0u, kRows - 1}) CHECK(region.AllocateRow(chunk, row).ok());
    }
  });
}

// The descriptor of the region's memfd, which only /proc tells; -1 when there is none.
int RegionDescriptor() {
  int found = -1;
  DIR* folder = opendir("/proc/self/fd");
  while (const dirent* entry = folder == nullptr ? nullptr : readdir(folder)) {
    char target[64] = {};
    if (readlinkat(dirfd(folder), entry->d_name, target, sizeof(target) - 1) < 0) continue;
    if (std::string(target).find("memfd:vmm-metrics") != std::string::npos) found = std::atoi(entry->d_name);
  }
  if (folder != nullptr) closedir(folder);
  return found;
}

TEST("given another process that opens the region under /proc, when it truncates it, then it may not") {
  Region region;
  CHECK(region.Create({}).ok());
  const int fd = RegionDescriptor();
  if (!CHECK(fd >= 0)) return;
  const int other = open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDWR | O_CLOEXEC);
  CHECK(other >= 0);
  CHECK_EQ(ftruncate(other, 0), -1);
  CHECK_EQ(errno, EPERM);
  close(other);
  CHECK_EQ(region.header().magic, kMagic);
}

TEST("given a region, when it is gone, then its descriptor is closed") {
  {
    Region region;
    CHECK(region.Create({}).ok());
    CHECK(RegionDescriptor() >= 0);
  }
  CHECK_EQ(RegionDescriptor(), -1);
}

TEST("given a process that is short of address space, when a region is made, then that is a status") {
  CheckInChild([] {
    const rlimit limit = {1 << 20, 1 << 20};
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    Region region;
    const Status status = region.Create({});
    CHECK_EQ(status.code, Code::kMemory);
    CHECK_EQ(status.error, ENOMEM);
  });
}

// A region in a file, of which memory may be lost.
struct FileRegion {
  FileRegion() {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);
    CHECK(region.Create({0x1234, "{}", 2, fd}).ok());
    CHECK(Guard(&region).ok());
    for (uint32_t row = 0; row < kBanks; row++) CHECK(region.AllocateRow(0, row).ok());
    for (uint32_t shard = 0; shard < kBackedShards; shard++) CHECK(region.AllocateRow(0, kFirstShardRow + shard).ok());
  }
  ~FileRegion() { Unguard(&region); }
  FileRegion(const FileRegion&) = delete;
  FileRegion& operator=(const FileRegion&) = delete;

  void Cut(uint64_t bytes = 0) { CHECK_EQ(truncate(path.c_str(), static_cast<off_t>(bytes)), 0); }
  uint64_t FileBytes() {
    struct stat info = {};
    CHECK_EQ(stat(path.c_str(), &info), 0);
    return static_cast<uint64_t>(info.st_size);
  }
  bool SaysDegraded() { return region.is_degraded() && region.header().degraded.load() == 1; }

  static constexpr uint32_t kBackedShards = 8;
  TemporaryFolder folder;
  const std::string path = folder / "r";
  Region region;
};

TEST("given a file, when a region is made in it, then its document is there, and every row that has memory is in the file") {
  FileRegion file;
  Region& region = file.region;
  CHECK_EQ(std::string(reinterpret_cast<char*>(region.base()) + region.header().document_offset, 2), "{}");
  CHECK_EQ(region.header().document_bytes, 2);
  CHECK_EQ(region.header().chunks_offset, 2 * region.granule_bytes());
  CHECK_EQ(file.FileBytes(), region.OffsetOf(kFirstShardRow + FileRegion::kBackedShards, 0));
  CHECK(region.is_file());
  CHECK(!region.is_degraded());
}

TEST("given a region whose file is cut to nothing, when it is used, then it is memory again, of which nothing more is lost") {
  if (!kMayLoseMemory) return (void)CHECK(true);
  FileRegion file;
  Region& region = file.region;
  Set(region.InShard(0, 3), 5);
  Set(region.InShard(1, 3), 6);
  region.SetCommit(4 | 1);
  region.SetShardsUsed(2);
  file.Cut();
  AddShared(region.InShard(0, 3), 7);
  CHECK(file.SaysDegraded());
  CHECK_EQ(region.header().magic, 0);  // lost too
  CHECK_EQ(Read(region.InShard(0, 3)), 7);
  CHECK_EQ(Read(region.InShard(1, 3)), 0);
  // What the process goes by is not lost with the header.
  CHECK_EQ(region.commit(), 4 | 1);
  CHECK_EQ(region.shards_used(), 2);
  file.Cut(region.OffsetOf(kFirstShardRow + 2, 0));  // it is made longer again
  file.Cut();
  CHECK_EQ(Read(region.InShard(0, 3)), 7);
  AddShared(region.InShard(0, 3), 1);
  CHECK_EQ(Read(region.InShard(0, 3)), 8);
}

TEST("given a region whose file loses its end, when what is left is used, then that is as it was, and nothing is degraded yet") {
  if (!kMayLoseMemory) return (void)CHECK(true);
  FileRegion file;
  Region& region = file.region;
  Set(region.InShard(0, 3), 5);
  Set(region.InShard(1, 3), 6);
  file.Cut(region.OffsetOf(kFirstShardRow + 1, 0));
  CHECK_EQ(Read(region.InShard(0, 3)), 5);
  CHECK(!region.is_degraded());
  CHECK_EQ(Read(region.InShard(1, 3)), 0);
  CHECK(file.SaysDegraded());
  CHECK_EQ(Read(region.InShard(0, 3)), 5);
  CHECK_EQ(region.header().magic, kMagic);
}

TEST("given rows that are mapped again, when one of them finds its memory lost, then all are the same new memory") {
  if (!kMayLoseMemory) return (void)CHECK(true);
  for (const bool comes_back : {false, true}) {
    FileRegion file;
    Region& region = file.region;
    void* rows[3] = {};
    for (void*& row : rows) CHECK(region.MapRow(0, kFirstShardRow + 1, &row).ok());
    void* other = nullptr;
    CHECK(region.MapRow(0, kFirstShardRow + 2, &other).ok());
    Word(other, 7) = 40;
    file.Cut(region.OffsetOf(kFirstShardRow + 1, 0));
    Word(rows[1], 7) += 1;
    if (comes_back) file.Cut(region.OffsetOf(kFirstShardRow + 8, 0));
    for (void* row : rows) Word(row, 7) += 1;
    CHECK_EQ(Read(region.InShard(1, 7)), 4);
    Set(region.InShard(1, 7), 9);
    for (void* row : rows) CHECK_EQ(Word(row, 7).load(), 9);
    Word(other, 7) = 41;
    CHECK_EQ(Read(region.InShard(2, 7)), 41);
    // One that is mapped after the loss too.
    void* late = nullptr;
    CHECK(region.MapRow(0, kFirstShardRow + 1, &late).ok());
    Word(late, 7) += 1;
    CHECK_EQ(Read(region.InShard(1, 7)), 10);
    for (void* row : {rows[0], rows[1], rows[2], other, late}) {
      region.ForgetRow(row);
      region.UnmapRow(row, region.granule_bytes());
    }
  }
}

TEST("given many threads on one cut file, when all of them add after the cut, then nothing is lost that was added after it") {
  if (!kMayLoseMemory) return (void)CHECK(true);
  constexpr int kThreads = 6, kRounds = 12, kAdds = 500;
  for (int round = 0; round < kRounds; round++) {
    FileRegion file;
    Region& region = file.region;
    std::mutex store_lock;
    std::atomic<int> ready{0};
    std::atomic<bool> is_cut{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; t++) {
      threads.emplace_back([&, t] {
        void* own = nullptr;
        void* shared = nullptr;
        {
          std::lock_guard<std::mutex> lock(store_lock);
          CHECK(region.MapRow(0, kFirstShardRow + 1 + static_cast<uint32_t>(t), &own).ok());
          CHECK(region.MapRow(0, kFirstShardRow, &shared).ok());
        }
        ready++;
        while (!is_cut) std::this_thread::yield();
        for (int i = 0; i < kAdds; i++) {
          // The thread's own, as JavaScript adds to it; and a cell of all, by its two ways.
          Word(own, 1).store(Word(own, 1).load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
          if (t % 2 == 0) Word(shared, 2).fetch_add(1, std::memory_order_relaxed);
          if (t % 2 != 0) AddShared(region.InShard(0, 2), 1);
        }
        for (void* row : {own, shared}) {
          region.ForgetRow(row);
          region.UnmapRow(row, region.granule_bytes());
        }
      });
    }
    while (ready != kThreads) std::this_thread::yield();
    file.Cut();
    is_cut = true;
    for (std::thread& thread : threads) thread.join();
    CHECK_EQ(Read(region.InShard(0, 2)), kThreads * kAdds);
    for (uint32_t t = 0; t < kThreads; t++) CHECK_EQ(Read(region.InShard(1 + t, 1)), kAdds);
    CHECK(file.SaysDegraded());
  }
}

TEST("given addresses that are not of a region in a file, when they are to be repaired, then nothing changes") {
  FileRegion file;
  Region& region = file.region;
  int local = 7;
  CHECK(!region.Repair(&local));
  CHECK(!region.Repair(nullptr));
  CHECK(!region.Repair(region.base() - 1));
  Region memory;
  CHECK(memory.Create({}).ok());
  CHECK(!memory.Repair(memory.base()));
  CHECK(!RepairRegion(memory.base()));

  void* row = nullptr;
  void* forgotten = nullptr;
  CHECK(region.MapRow(0, kFirstShardRow, &row).ok());
  CHECK(region.MapRow(0, kFirstShardRow, &forgotten).ok());
  Set(region.InShard(0, 1), 5);
  region.DisconnectRow(row);
  region.ForgetRow(forgotten);
  CHECK(!region.Repair(row));
  CHECK(!region.Repair(forgotten));
  CHECK(!region.is_degraded());
  CHECK_EQ(Read(region.InShard(0, 1)), 5);
  CHECK_EQ(Word(forgotten, 1).load(), 5);
  region.UnmapRow(row, region.granule_bytes());
  region.UnmapRow(forgotten, region.granule_bytes());
}

TEST("given a region that nobody guards any more, when its memory is lost, then the process dies as it would have died") {
  if (!kMayLoseMemory) return (void)CHECK(true);
  const Death death = InChild([] {
    FileRegion file;
    Unguard(&file.region);
    file.Cut();
    AddShared(file.region.InShard(0, 1), 1);
  });
  CHECK_EQ(death.signal, SIGBUS);
}

TEST("given threads whose rows come and go, when memory is lost meanwhile, then each row is of its own memory") {
  if (!kMayLoseMemory) return (void)CHECK(true);
  for (int round = 0; round < 6; round++) {
    FileRegion file;
    Region& region = file.region;
    std::atomic<bool> done{false};
    std::mutex store_lock;
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < 3; t++) {
      threads.emplace_back([&, t] {
        uint64_t added = 0;
        for (int i = 0; !done || i < 10; i++) {
          const uint32_t shard = 1 + 2 * t + static_cast<uint32_t>(i % 2);
          void* row = nullptr;
          {
            std::lock_guard<std::mutex> lock(store_lock);
            CHECK(region.MapRow(0, kFirstShardRow + shard, &row).ok());
          }
          const uint64_t before = Read(region.InShard(shard, t));
          Word(row, t).fetch_add(1, std::memory_order_relaxed);
          const uint64_t after = Read(region.InShard(shard, t));
          // Lost between the two, or one more.
          CHECK(after == before + 1 || after <= 1);
          added++;
          if (i % 3 == 0) {
            region.DisconnectRow(row);
            Word(row, t) = 1000;
          } else {
            region.ForgetRow(row);
          }
          region.UnmapRow(row, region.granule_bytes());
        }
        CHECK(added >= 10);
      });
    }
    for (uint32_t shard = FileRegion::kBackedShards; shard-- > 0;) {
      file.Cut(region.OffsetOf(kFirstShardRow + shard, 0));
      SleepMs(1);
    }
    done = true;
    for (std::thread& thread : threads) thread.join();
    for (uint32_t shard = 0; shard < FileRegion::kBackedShards; shard++) {
      for (uint32_t t = 0; t < 3; t++) CHECK(Read(region.InShard(shard, t)) < 1000 || shard - 1 - 2 * t <= 1);
    }
    CHECK(region.is_degraded());
  }
}

TEST("given repairs of memory that is there, when rows come and go meanwhile, then each of them is the region's memory") {
  for (int round = 0; round < 8; round++) {
    FileRegion file;
    Region& region = file.region;
    std::atomic<bool> done{false};
    std::mutex store_lock;
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < 3; t++) {
      threads.emplace_back([&, t] {
        for (uint32_t i = 0; !done || i < 30; i++) {
          const uint32_t shard = (t + i) % FileRegion::kBackedShards;
          void* row = nullptr;
          {
            std::lock_guard<std::mutex> lock(store_lock);
            CHECK(region.MapRow(0, kFirstShardRow + shard, &row).ok());
          }
          // No granule is repaired twice, so what is written the second time at the latest is there.
          bool is_there = false;
          for (int tries = 0; tries < 3 && !is_there; tries++) {
            Word(row, 10 + t).store(i + 1, std::memory_order_relaxed);
            // ThreadSanitizer takes the memory that is put in the place for a write of it.
            is_there = !kMayLoseMemory || Read(region.InShard(shard, 10 + t)) == i + 1;
            if (!is_there) SleepMs(1);
          }
          CHECK(is_there);
          region.ForgetRow(row);
          region.UnmapRow(row, region.granule_bytes());
        }
      });
    }
    for (uint32_t shard = 0; shard < FileRegion::kBackedShards; shard++) {
      CHECK(region.Repair(&region.InShard(shard, 0)));
      CHECK(region.Repair(&region.InShard(shard, 1)));
    }
    done = true;
    for (std::thread& thread : threads) thread.join();
    CHECK(file.SaysDegraded());
  }
}

// The sanitizers have an mmap of their own.
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
Region* g_signalled;

}  // namespace
}  // namespace vmm

// A signal in the middle of a repair of g_signalled, when memory is being put in its place.
extern "C" void* mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
  constexpr int kInRepair = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED;
  if (vmm::g_signalled != nullptr && (flags & kInRepair) == kInRepair)
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGTRAP);
  return reinterpret_cast<void*>(syscall(SYS_mmap, address, bytes, protection, flags, fd, offset));
}

namespace vmm {
namespace {

TEST("given a repair, when a signal of a crash comes in the middle of it, then its handler may use the region too") {
  const pid_t child = StartChild([] {
    InstallHandler(SIGTRAP, [](int) { AddShared(g_signalled->InShard(1, 1), 1); });
    FileRegion file;
    file.Cut();
    g_signalled = &file.region;
    AddShared(file.region.InShard(1, 1), 1);
    AddShared(file.region.InShard(1, 1), 1);
    g_signalled = nullptr;
    CHECK_EQ(Read(file.region.InShard(1, 1)), 3);  // the signal came once, after the repair
  });
  const Death death = Await(child, 10'000, [] {});
  CHECK_EQ(death.signal, 0);
  CHECK_EQ(death.exit_code, 0);
}
#endif

TEST("given a file that is cut and that more rows then make longer, when the hole reads as 0, then the region is degraded") {
  FileRegion file;
  Region& region = file.region;
  Set(region.InShard(0, 3), 5);
  file.Cut(region.OffsetOf(kFirstShardRow, 0));
  CHECK(region.AllocateRow(1, kRows - 1).ok());
  CHECK_EQ(Read(region.InShard(0, 3)), 0);
  CHECK(file.SaysDegraded());
}

TEST("given a file to which rows are added, when nobody cut it, then it is not degraded") {
  FileRegion file;
  for (const uint32_t row : {kRows - 1, 0u}) CHECK(file.region.AllocateRow(2, row).ok());
  CHECK(file.region.AllocateRow(1, 5).ok());
  CHECK(!file.region.is_degraded());
}

TEST("given a forked child, when it goes on counting, then the parent's file does not change, and does not stay locked for it") {
  auto file = std::make_unique<FileRegion>();
  void* row = nullptr;
  CHECK(file->region.MapRow(0, kFirstShardRow, &row).ok());
  Set(file->region.InShard(0, 1), 5);
  const int other = open(file->path.c_str(), O_RDWR | O_CLOEXEC);
  const pid_t child = StartChild([&] {
    CHECK_EQ(Read(file->region.InShard(0, 1)), 0);
    Set(file->region.InShard(0, 1), 99);
    file->region.header().state.store(3);
    file->region.Unlock();
    file->region.ForgetRow(row);
    SleepMs(20'000);
  });
  SleepMs(100);
  CHECK_EQ(Read(file->region.InShard(0, 1)), 5);
  CHECK_EQ(file->region.header().state.load(), static_cast<uint32_t>(RegionState::kRunning));
  CHECK(flock(other, LOCK_EX | LOCK_NB) != 0);  // as a child may not unlock it
  file->region.ForgetRow(row);
  file->region.UnmapRow(row, file->region.granule_bytes());
  file.reset();
  CHECK_EQ(flock(other, LOCK_EX | LOCK_NB), 0);
  close(other);
  kill(child, SIGKILL);
  Await(child, kChildLimitMs, [] {});
}

TEST("given a row that JavaScript still has, when its region is gone, then the file is not locked if the row was disconnected") {
  auto file = std::make_unique<FileRegion>();
  void* row = nullptr;
  const uint32_t bytes = file->region.granule_bytes();
  CHECK(file->region.MapRow(0, kFirstShardRow, &row).ok());
  const int other = open(file->path.c_str(), O_RDWR | O_CLOEXEC);
  file->region.DisconnectRow(row);
  file.reset();
  CHECK_EQ(flock(other, LOCK_EX | LOCK_NB), 0);
  close(other);
  Region::UnmapRow(row, bytes);
}

}  // namespace
}  // namespace vmm

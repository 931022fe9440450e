// A region in a file: it still works when its memory is lost, and a forked child gives it up.

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "child.h"
#include "file_region.h"
#include "host_handler.h"
#include "lost_row.h"
#include "region/region.h"
#include "region/region_guard.h"

namespace vmm {
namespace {

TEST("given a file, when a region is made in it, then the file has its document and every row with memory") {
  FileRegion file;
  Region& region = file.region;
  CHECK_EQ(std::string(reinterpret_cast<char*>(region.base()) + region.header().document_offset, 2), "{}");
  CHECK_EQ(region.header().document_bytes, 2);
  CHECK_EQ(region.header().chunks_offset, 2 * region.granule_bytes());
  CHECK_EQ(file.FileBytes(), region.OffsetOf(kFirstShardRow + FileRegion::kBackedShards, 0));
  CHECK(region.is_file());
  CHECK(!region.is_degraded());
}

TEST("given a region whose file is cut to nothing, when it is used, then it has memory again, and loses nothing more") {
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
  CHECK_EQ(region.header().magic, 0);  // the header is lost too
  CHECK_EQ(Read(region.InShard(0, 3)), 7);
  CHECK_EQ(Read(region.InShard(1, 3)), 0);
  // The process's own copies are not lost with the header.
  CHECK_EQ(region.commit(), 4 | 1);
  CHECK_EQ(region.shards_used(), 2);
  file.Cut(region.OffsetOf(kFirstShardRow + 2, 0));  // the file becomes longer again
  file.Cut();
  CHECK_EQ(Read(region.InShard(0, 3)), 7);
  AddShared(region.InShard(0, 3), 1);
  CHECK_EQ(Read(region.InShard(0, 3)), 8);
}

TEST(
    "given a region whose file loses its end, when the rest is used, then the rest is as it was, and the region is not degraded "
    "yet") {
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

TEST(
    "given rows that are mapped several times, when one mapping finds its memory lost, then all mappings are the same new "
    "memory") {
  if (!kMayLoseMemory) return (void)CHECK(true);
  for (const bool comes_back : {false, true}) CheckMappingsOfLostRow(comes_back);
}

TEST("given many threads on one cut file, when all of them add after the cut, then no later add is lost") {
  if (!kMayLoseMemory) return (void)CHECK(true);
  constexpr int kThreads = 6, kRounds = 12, kAdds = 500;
  for (int round = 0; round < kRounds; round++) {
    FileRegion file;
    Region& region = file.region;
    std::atomic<int> ready{0};
    std::atomic<bool> is_cut{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; t++) {
      threads.emplace_back([&, t] {
        void* const own = file.MapRow(1 + static_cast<uint32_t>(t));
        void* const shared = file.MapRow(0);
        ready++;
        while (!is_cut) std::this_thread::yield();
        for (int i = 0; i < kAdds; i++) {
          // Adds to the thread's own cell as JavaScript does, and to a shared cell in both ways.
          Word(own, 1).store(Word(own, 1).load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
          if (t % 2 == 0) Word(shared, 2).fetch_add(1, std::memory_order_relaxed);
          if (t % 2 != 0) AddShared(region.InShard(0, 2), 1);
        }
        for (void* row : {own, shared}) file.UnmapRow(row);
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

TEST("given addresses outside a region in a file, when they are repaired, then nothing changes") {
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

TEST("given a region that is no longer guarded, when its memory is lost, then the process dies of SIGBUS") {
  if (!kMayLoseMemory) return (void)CHECK(true);
  const Death death = InChild([] {
    FileRegion file;
    Unguard(&file.region);
    file.Cut();
    AddShared(file.region.InShard(0, 1), 1);
  });
  CHECK_EQ(death.signal, SIGBUS);
}

// Calls `step(t, i)` on three threads, of the numbers t, over and over while `work` runs, and `least` times at least.
template <typename Step, typename Work>
void WhileThreadsStep(uint32_t least, Step step, Work work) {
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 3; t++) {
    threads.emplace_back([&, t] {
      for (uint32_t i = 0; !done || i < least; i++) step(t, i);
    });
  }
  work();
  done = true;
  for (std::thread& thread : threads) thread.join();
}

TEST("given threads whose rows come and go, when memory is lost meanwhile, then each row still has its own memory") {
  if (!kMayLoseMemory) return (void)CHECK(true);
  for (int round = 0; round < 6; round++) {
    FileRegion file;
    Region& region = file.region;
    const auto step = [&](uint32_t t, uint32_t i) {
      const uint32_t shard = 1 + 2 * t + i % 2;
      void* const row = file.MapRow(shard);
      const uint64_t before = Read(region.InShard(shard, t));
      Word(row, t).fetch_add(1, std::memory_order_relaxed);
      const uint64_t after = Read(region.InShard(shard, t));
      // The value is one more, unless the memory was lost between the two reads.
      CHECK(after == before + 1 || after <= 1);
      if (i % 3 == 0) {
        region.DisconnectRow(row);
        Word(row, t) = 1000;
        region.UnmapRow(row, region.granule_bytes());
      } else {
        file.UnmapRow(row);
      }
    };
    WhileThreadsStep(10, step, [&] {
      for (uint32_t shard = FileRegion::kBackedShards; shard-- > 0;) {
        file.Cut(region.OffsetOf(kFirstShardRow + shard, 0));
        SleepMs(1);
      }
    });
    for (uint32_t shard = 0; shard < FileRegion::kBackedShards; shard++) {
      for (uint32_t t = 0; t < 3; t++) CHECK(Read(region.InShard(shard, t)) < 1000 || shard - 1 - 2 * t <= 1);
    }
    CHECK(region.is_degraded());
  }
}

TEST("given repairs of memory that is not lost, when rows come and go meanwhile, then each row is the region's memory") {
  for (int round = 0; round < 8; round++) {
    FileRegion file;
    Region& region = file.region;
    const auto step = [&](uint32_t t, uint32_t i) {
      const uint32_t shard = (t + i) % FileRegion::kBackedShards;
      void* const row = file.MapRow(shard);
      // No granule is repaired twice: if the first write is lost, the second one stays.
      bool is_there = false;
      for (int tries = 0; tries < 3 && !is_there; tries++) {
        Word(row, 10 + t).store(i + 1, std::memory_order_relaxed);
        // ThreadSanitizer takes the replacement of the memory for a write to it.
        is_there = !kMayLoseMemory || Read(region.InShard(shard, 10 + t)) == i + 1;
        if (!is_there) SleepMs(1);
      }
      CHECK(is_there);
      file.UnmapRow(row);
    };
    WhileThreadsStep(30, step, [&] {
      for (uint32_t shard = 0; shard < FileRegion::kBackedShards; shard++) {
        CHECK(region.Repair(&region.InShard(shard, 0)));
        CHECK(region.Repair(&region.InShard(shard, 1)));
      }
    });
    CHECK(file.SaysDegraded());
  }
}

// The sanitizers replace mmap() themselves.
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
Region* g_signalled;

}  // namespace
}  // namespace vmm

// Raises a signal in the middle of a repair of g_signalled, just before its memory is replaced. Only some C libraries
// declare mmap() noexcept.
extern "C" void* mmap(void* address, size_t bytes, int protection, int flags, int fd,
                      off_t offset) noexcept(noexcept(::mmap(nullptr, 0, 0, 0, 0, 0))) {
  constexpr int kInRepair = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED;
  if (vmm::g_signalled != nullptr && (flags & kInRepair) == kInRepair)
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGTRAP);
  return reinterpret_cast<void*>(syscall(SYS_mmap, address, bytes, protection, flags, fd, offset));
}

namespace vmm {
namespace {

TEST("given a repair, when a fatal signal interrupts it, then the handler can use the region too") {
  const pid_t child = StartChild([] {
    InstallHandler(SIGTRAP, [](int) { AddShared(g_signalled->InShard(1, 1), 1); });
    FileRegion file;
    file.Cut();
    g_signalled = &file.region;
    AddShared(file.region.InShard(1, 1), 1);
    AddShared(file.region.InShard(1, 1), 1);
    g_signalled = nullptr;
    CHECK_EQ(Read(file.region.InShard(1, 1)), 3);  // one signal, handled after the repair
  });
  const Death death = Await(child, 10'000, [] {});
  CHECK_EQ(death.signal, 0);
  CHECK_EQ(death.exit_code, 0);
}
#endif

TEST("given a cut file that more rows make longer, when the hole reads as 0, then the region is degraded") {
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

TEST("given a forked child, when it counts, then the parent's file does not change, and the child does not keep it locked") {
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
  CHECK(flock(other, LOCK_EX | LOCK_NB) != 0);  // the child must not unlock the parent's file
  file->region.ForgetRow(row);
  file->region.UnmapRow(row, file->region.granule_bytes());
  file.reset();
  CHECK_EQ(flock(other, LOCK_EX | LOCK_NB), 0);
  close(other);
  kill(child, SIGKILL);
  Await(child, kChildLimitMs, [] {});
}

TEST(
    "given a row that JavaScript still has, when its region is destroyed, then the file is not locked if the row was "
    "disconnected") {
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

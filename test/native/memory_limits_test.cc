// Region under limits that a jail sets before or after the region is made: on the size of files, and on locked memory.
// Also in a process that locks all its future memory (mlockall).

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "check.h"
#include "child.h"
#include "file_region.h"
#include "region/region.h"
#include "region/reservation.h"
#include "resource_limit.h"
#include "rig.h"
#include "temporary_folder.h"

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif

namespace vmm {
namespace {

// A sanitizer makes mappings of its own, and locks none.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = false;
#endif

enum class Kind { kMemoryFile, kAnonymous, kFile };
constexpr Kind kKinds[] = {Kind::kMemoryFile, Kind::kAnonymous, Kind::kFile};

// Makes the region. Call this in a child, whose limits affect no other process.
Status Make(Region& region, Kind kind, const TemporaryFolder& folder) {
  if (kind == Kind::kFile) return region.Create({1, "{}", 2, OpenLocked(folder / "r")});
  if (kind == Kind::kMemoryFile) return region.Create({1, "{}", 2});
  rlimit before;
  CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  LimitResource(RLIMIT_FSIZE, 0);
  const Status status = region.Create({1, "{}", 2});
  LimitResource(RLIMIT_FSIZE, before.rlim_cur);
  return status;
}

uint64_t StatusBytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.compare(0, name.size() + 1, name + ":") == 0)
      return std::strtoull(line.c_str() + name.size() + 1, nullptr, 10) * 1024;
  }
  CHECK(false);
  return 0;
}

int CountMappings() {
  std::ifstream maps("/proc/self/maps");
  int count = 0;
  for (std::string line; std::getline(maps, line);) count++;
  return count;
}

// The rows of a chunk that a store with one thread uses, and a cell of each.
void UseChunk(Region& region, uint32_t chunk) {
  for (const uint32_t row : {0u, 1u, 2u, kFirstShardRow, kFirstShardRow + 1}) {
    if (!CHECK(region.AllocateRow(chunk, row).ok())) return;
    AddShared(region.At(row, chunk * region.chunk_cells()), 1);
    CHECK_EQ(Read(region.At(row, chunk * region.chunk_cells())), 1);
  }
}

volatile sig_atomic_t g_signals = 0;

TEST("given a limit on file sizes that is set after the open, when devices are added, then each gets its cells") {
  CheckInChild([] {
    Rig rig(SchemaBuilder().Group("g", {Inc("i")}).PerDevice("d", {Inc("i"), Inc("j")}).Build(""));
    signal(SIGXFSZ, SIG_DFL);
    LimitResource(RLIMIT_FSIZE, 0);
    for (int i = 0; i < 2000; i++) AddShared(rig.At(rig.AddDevice(0, std::to_string(i)), 0, "j"), 1);
  });
}

TEST(
    "given a region file and a limit on file sizes that comes later, when the file would grow, then EFBIG, and SIGXFSZ is never "
    "raised") {
  for (const bool is_ignored : {false, true}) {
    CheckInChild([&] {
      TemporaryFolder folder;
      Region region;
      CHECK(Make(region, Kind::kFile, folder).ok());
      UseChunk(region, 0);
      signal(
          SIGXFSZ, is_ignored ? SIG_IGN : [](int) { g_signals = 1; });
      LimitResource(RLIMIT_FSIZE, 64 * 1024);
      const Status status = region.AllocateRow(1, 0);
      CHECK_EQ(status.code, Code::kMemory);
      CHECK_EQ(status.error, EFBIG);
      sigset_t pending;
      sigpending(&pending);
      CHECK_EQ(sigismember(&pending, SIGXFSZ), 0);
      CHECK_EQ(g_signals, 0);
      LimitResource(RLIMIT_FSIZE, RLIM_INFINITY);
      UseChunk(region, 1);
      CHECK(!region.is_degraded());
      raise(SIGXFSZ);  // the host's own comes as ever
      CHECK_EQ(g_signals, is_ignored ? 0 : 1);
    });
  }
}

TEST("given a region, when a row that was never given memory is touched, then the process gets a fault, and the row no page") {
  for (const Kind kind : kKinds) {
    TemporaryFolder folder;
    const Death death = InChild([&] {
      Region region;
      CHECK(Make(region, kind, folder).ok());
      UseChunk(region, 0);
      AddShared(region.At(kFirstShardRow + 2, 0), 1);
    });
    CHECK_EQ(death.signal, SIGSEGV);
  }
}

TEST("given many chunks, when the mappings are counted, then each chunk has a few, far below the limit of the kernel") {
  if (kIsSanitized) return (void)CHECK(true);
  for (const Kind kind : kKinds) {
    CheckInChild([&] {
      TemporaryFolder folder;
      Region region;
      CHECK(Make(region, kind, folder).ok());
      const int before = CountMappings();
      for (uint32_t chunk = 0; chunk < 100; chunk++) UseChunk(region, chunk);
      CHECK(CountMappings() - before <= 4 * 100);
    });
  }
}

// Checks what the process locks in total when it uses ten chunks of a region: their rows, and not the address space.
void CheckLocked(Kind kind, int how) {
  TemporaryFolder folder;
  CHECK_EQ(mlockall(how), 0);
  const uint64_t before = StatusBytes("VmLck");
  Region region;
  const Status status = Make(region, kind, folder);
  if (!CHECK(status.ok())) return (void)std::printf("%s: errno %d\n", status.syscall, status.error);
  const uint64_t opened = StatusBytes("VmLck");
  CHECK(opened - before < 2 << 20);
  for (uint32_t chunk = 0; chunk < 10; chunk++) UseChunk(region, chunk);
  CHECK_EQ(StatusBytes("VmLck") - opened, 10 * 5 * region.granule_bytes());
  void* row = nullptr;
  CHECK(region.MapRow(9, kFirstShardRow + 1, &row).ok());
  AddShared(*static_cast<Cell*>(row), 1);
  CHECK_EQ(Read(region.InShard(1, 9 * region.chunk_cells())), 2);
  region.ForgetRow(row);
  Region::UnmapRow(row, region.granule_bytes());
  munlockall();
}

// Limits the memory that this process may lock to `bytes`, or to what this machine allows if that is less. Stops being
// root, since root has no limit. False: this machine allows too little, or the process must stay root.
bool LimitLocked(rlim_t bytes) {
  rlimit limit;
  getrlimit(RLIMIT_MEMLOCK, &limit);
  if (limit.rlim_max < 4 << 20) return false;
  if (limit.rlim_max > bytes) limit.rlim_max = bytes;
  limit.rlim_cur = limit.rlim_max;
  CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
  return StopBeingRoot();
}

TEST("given a process that locks future memory and has a limit on that, when a region is used, then only its rows are locked") {
  if (kIsSanitized) return (void)CHECK(true);
  for (const Kind kind : kKinds) {
    for (const int how : {MCL_FUTURE, MCL_FUTURE | MCL_ONFAULT}) {
      CheckInChild([&] {
        if (!LimitLocked(64 << 20)) return (void)CHECK(true);
        CheckLocked(kind, how);
      });
    }
  }
}

TEST("given a process that locks future memory without a limit, when a region is used, then only its rows are locked") {
  if (kIsSanitized || getuid() != 0) return (void)CHECK(true);
  for (const Kind kind : kKinds) CheckInChild([&] { CheckLocked(kind, MCL_FUTURE); });
}

TEST("given a process that locks no memory, when a region is used, then no memory of the region is locked") {
  for (const Kind kind : kKinds) {
    CheckInChild([&] {
      TemporaryFolder folder;
      const uint64_t before = StatusBytes("VmLck");
      Region region;
      CHECK(Make(region, kind, folder).ok());
      UseChunk(region, 0);
      CHECK_EQ(StatusBytes("VmLck"), before);
    });
  }
}

TEST("given locked memory at its limit, when a row is asked for, then a status says so, and the rows that are there go on") {
  if (kIsSanitized) return (void)CHECK(true);
  CheckInChild([] {
    if (!LimitLocked(8 << 20)) return (void)CHECK(true);
    CHECK_EQ(mlockall(MCL_FUTURE), 0);
    Region region;
    CHECK(region.Create({}).ok());
    uint32_t chunk = 0;
    Status status;
    while (status.ok() && chunk < kMaxChunks) {
      status = region.AllocateRow(chunk, 0);
      if (!status.ok()) break;
      Set(region.InBank(0, chunk * region.chunk_cells()), chunk + 1);
      chunk++;
    }
    CHECK_EQ(status.code, Code::kMemory);
    CHECK_EQ(std::string(status.syscall), "mlock");
    CHECK(chunk > 100);
    CHECK_EQ(Read(region.InBank(0, (chunk - 1) * region.chunk_cells())), chunk);
  });
}

}  // namespace
}  // namespace vmm

// Region: where each cell is, and that all mappings of a row share the same memory until a mapping is disconnected.

#include "region/region.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <string>

#include "check.h"
#include "child.h"
#include "file_region.h"
#include "resource_limit.h"

namespace vmm {
namespace {

TEST("given a new region, when its header is read, then its fields are right, and a granule is a page") {
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

  // A write to a disconnected row reaches no other mapping. The other mappings still work.
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

TEST("given a region, when its header is mapped again, then the mapping shows each change of the header") {
  Region region;
  if (!CHECK(region.Create({}).ok())) return;
  void* mapped = nullptr;
  if (!CHECK(region.MapHeader(&mapped).ok())) return;
  RegionHeader* const header = static_cast<RegionHeader*>(mapped);
  CHECK(header != &region.header());
  CHECK_EQ(header->magic, kMagic);
  region.SetShardsUsed(7);
  CHECK_EQ(header->shards_used.load(), 7);
  region.DisconnectRow(mapped);
  CHECK_EQ(header->magic, 0);
  region.UnmapRow(mapped, region.granule_bytes());
}

// Each of these tests uses a child, since a limit stays for the rest of a process. The child does not ignore SIGXFSZ:
// Node ignores it, but another host need not.
TEST("given a process that must not make files, when a region is made, then it is anonymous, and rows are still shared") {
  CheckInChild([] {
    LimitResource(RLIMIT_FSIZE, 0);
    CheckRowsShareMemory();
  });
}

TEST("given a file size limit of a few pages, when later rows need memory, then they get it") {
  CheckInChild([] {
    LimitResource(RLIMIT_FSIZE, 64 * 1024);
    Region region;
    CHECK(region.Create({}).ok());
    for (const uint32_t chunk : {0u, 1u, kMaxChunks - 1}) {
      for (const uint32_t row : {0u, kRows - 1}) CHECK(region.AllocateRow(chunk, row).ok());
    }
  });
}

// Finds the descriptor of the region's memfd in /proc; -1 if there is none.
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

TEST("given another process that opens the region under /proc, when it tries to truncate the region, then it may not") {
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

TEST("given a region, when it is destroyed, then its descriptor is closed") {
  {
    Region region;
    CHECK(region.Create({}).ok());
    CHECK(RegionDescriptor() >= 0);
  }
  CHECK_EQ(RegionDescriptor(), -1);
}

TEST("given a process that is short of address space, when a region is made, then a status says so") {
  CheckInChild([] {
    LimitResource(RLIMIT_AS, 1 << 20);
    Region region;
    const Status status = region.Create({});
    CHECK_EQ(status.code, Code::kMemory);
    CHECK_EQ(status.error, ENOMEM);
  });
}

}  // namespace
}  // namespace vmm

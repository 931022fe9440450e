// KnownRegion reads a region file again with what a reader in this process knows of the file, and refuses any other
// file.

#include "region/known_region.h"

#include <cstring>
#include <vector>

#include "check.h"
#include "file_region.h"

namespace vmm {
namespace {

// A region file with two counters, and what a reader knows of it.
struct Known {
  Known() : spec(SpecOf(file)) {}

  static KnownRegionSpec SpecOf(FileRegion& file) {
    const RegionHeader& header = file.region.header();
    KnownRegionSpec spec;
    spec.descriptor = open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
    spec.path = file.path;
    spec.is_held = true;
    spec.header.resize(sizeof(RegionHeader));
    memcpy(spec.header.data(), &header, sizeof(RegionHeader));
    spec.kinds = {1, 1};
    spec.slots = {0, 1};
    spec.values = 2;
    spec.rows.granule_bytes = header.granule_bytes;
    spec.rows.chunks_offset = header.chunks_offset;
    return spec;
  }

  ~Known() { close(spec.descriptor); }

  FileRegion file;
  KnownRegionSpec spec;
};

TEST("given what a reader knows, when a number is out of range, then it is not valid") {
  const Known known;
  CHECK(KnownRegion(known.spec).IsValid());
  const auto is_valid = [&](auto change) {
    KnownRegionSpec spec = known.spec;
    change(spec);
    return KnownRegion(spec).IsValid();
  };
  CHECK(!is_valid([](KnownRegionSpec& spec) { spec.descriptor = -1; }));
  CHECK(!is_valid([](KnownRegionSpec& spec) { spec.header.pop_back(); }));
  CHECK(!is_valid([](KnownRegionSpec& spec) { spec.rows.granule_bytes = 0; }));
  CHECK(!is_valid([](KnownRegionSpec& spec) { spec.rows.granule_bytes = 4097; }));
  CHECK(!is_valid([](KnownRegionSpec& spec) { spec.rows.granule_bytes = 1 << 20; }));
  CHECK(!is_valid([](KnownRegionSpec& spec) { spec.rows.chunks_offset = uint64_t{1} << 60; }));
  CHECK(!is_valid([](KnownRegionSpec& spec) { spec.slots.pop_back(); }));
  CHECK(!is_valid([](KnownRegionSpec& spec) { spec.shards_used = kShards + 1; }));
  CHECK(!is_valid([](KnownRegionSpec& spec) { spec.directory.resize(1); }));
}

TEST("given a known region, when words change, then they are read; when the file is cut, then it is another one") {
  Known known;
  known.spec.shards_used = 2;
  KnownRegion region(known.spec);
  RowMemory memory;
  std::vector<uint8_t> header(sizeof(RegionHeader));
  uint64_t flushed[2] = {};
  uint64_t totals[2] = {};
  const auto read = [&] { return region.Read(geteuid(), memory, header.data(), flushed, totals); };
  void* const first = known.file.MapRow(0);
  void* const second = known.file.MapRow(1);
  Word(first, 0).store(3, std::memory_order_relaxed);
  Word(second, 0).store(4, std::memory_order_relaxed);
  Word(second, 1).store(5, std::memory_order_relaxed);
  CHECK_EQ(read(), KnownRegion::kSame);
  CHECK_EQ(totals[0], 7u);
  CHECK_EQ(totals[1], 5u);
  CHECK_EQ(flushed[0], 0u);
  known.file.UnmapRow(first);
  known.file.UnmapRow(second);
  known.file.Cut(4096);
  CHECK_EQ(read(), KnownRegion::kChanged);
}

TEST("given a directory, when the writer counts its changes, then a new count is a change; otherwise, other bytes are") {
  Known known;
  CHECK(known.file.region.AllocateRow(0, kFirstDirectoryRow).ok());
  RowMemory memory;
  std::vector<uint8_t> header(sizeof(RegionHeader));
  uint64_t flushed[2] = {};
  uint64_t totals[2] = {};
  RegionHeader& now = known.file.region.header();
  std::atomic<uint32_t>& state = known.file.region.InDirectory(0).state;
  for (const bool counts_changes : {false, true}) {
    if (counts_changes) now.directory_changes.store(7);
    memcpy(known.spec.header.data(), &now, sizeof(RegionHeader));
    known.spec.directory.assign(sizeof(DirectoryEntry), 0);
    memcpy(known.spec.directory.data(), &known.file.region.InDirectory(0), sizeof(DirectoryEntry));
    KnownRegion region(known.spec);
    const auto read = [&] { return region.Read(geteuid(), memory, header.data(), flushed, totals); };
    CHECK_EQ(read(), KnownRegion::kSame);
    state.store(state.load() + 1);
    CHECK_EQ(read(), counts_changes ? KnownRegion::kSame : KnownRegion::kChanged);
    if (!counts_changes) continue;
    now.directory_changes.store(8);
    CHECK_EQ(read(), KnownRegion::kChanged);
  }
}

TEST(
    "given the file of a writer, when the writer goes, then more than values has changed; if it was gone before, nobody asks for "
    "its lock") {
  Known known;
  RowMemory memory;
  std::vector<uint8_t> header(sizeof(RegionHeader));
  uint64_t flushed[2] = {};
  uint64_t totals[2] = {};
  const auto read = [&](bool is_held) {
    known.spec.is_held = is_held;
    return KnownRegion(known.spec).Read(geteuid(), memory, header.data(), flushed, totals);
  };
  CHECK_EQ(read(true), KnownRegion::kSame);
  CHECK_EQ(read(false), KnownRegion::kSame);  // somebody has the lock of a dead file: nobody counts into it
  known.file.region.Unlock();
  CHECK_EQ(read(true), KnownRegion::kChanged);
  CHECK_EQ(read(false), KnownRegion::kSame);
}

}  // namespace
}  // namespace vmm

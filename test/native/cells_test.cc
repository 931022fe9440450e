// Cells: runs of cells, the owners of shards, and the value of a cell over all shards.

#include "region/cells.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "check.h"
#include "region/collection.h"

namespace vmm {
namespace {

// Reserves cells and publishes them to flushes at once, as for cells that belong to no device.
Status Reserve(Cells& cells, const CellKind* kinds, uint32_t count, uint32_t* first) {
  const Status status = cells.Reserve(kinds, count, first);
  if (status.ok()) cells.Publish();
  return status;
}

TEST("given runs of any length, when they are reserved, then none overlap, and no run of up to 512 cells crosses a block") {
  Cells cells;
  CHECK(cells.Create({}).ok());
  uint32_t end = 0;
  uint32_t number = 0;
  for (const uint32_t count :
       {1u, 500u, 13u, 511u, 2u, 512u, 1u, 512u, 511u, 1u, 1u, 3u, 509u, 4u, 300u, 300u, 300u, 1300u, 7u}) {
    const CellKind kind = static_cast<CellKind>(1 + number++ % 4);
    const std::vector<CellKind> kinds(count, kind);
    uint32_t first = 0;
    CHECK(Reserve(cells, kinds.data(), count, &first).ok());
    CHECK(first >= end);
    if (count <= kRunCells) {
      CHECK_EQ(first / kRunCells, (first + count - 1) / kRunCells);
    } else {
      CHECK_EQ(first % kRunCells, 0);
    }
    // A gap has no kind, and its total is 0.
    for (uint32_t gap = end; gap < first; gap++) {
      CHECK_EQ(cells.kind(gap), CellKind::kNone);
      CHECK_EQ(cells.Total(gap), 0);
    }
    for (const uint32_t index : {first, first + count - 1}) {
      CHECK_EQ(cells.kind(index), kind);
      Set(cells.Shared(index), 1);  // the cell has memory of its own
      CHECK_EQ(cells.Total(index), 1);
      Set(cells.Shared(index), 0);
    }
    end = first + count;
    CHECK_EQ(cells.used(), end);
  }
}

TEST("given a run that exactly fills the rest of a block, when it is reserved, then no cell is skipped") {
  Cells cells;
  CHECK(cells.Create({}).ok());
  const std::vector<CellKind> kinds(512, CellKind::kInc);
  uint32_t first = 1;
  CHECK(Reserve(cells, kinds.data(), 500, &first).ok());
  CHECK_EQ(first, 0);
  CHECK(Reserve(cells, kinds.data(), 12, &first).ok());
  CHECK_EQ(first, 500);
  CHECK(Reserve(cells, kinds.data(), 512, &first).ok());
  CHECK_EQ(first, 512);
}

TEST("given reserved cells, when they are not published, then no flush reads them") {
  Cells cells;
  CHECK(cells.Create({}).ok());
  const CellKind kinds[] = {CellKind::kInc};
  uint32_t first = 0;
  CHECK(cells.Reserve(kinds, 1, &first).ok());
  CHECK_EQ(cells.used(), 0);
  uint32_t second = 0;
  CHECK(cells.Reserve(kinds, 1, &second).ok());
  CHECK_EQ(second, 1);
  cells.Publish();
  CHECK_EQ(cells.used(), 2);
}

TEST(
    "given more cells than the address space has, when they are reserved, then the status is kTooManyCells, and nothing "
    "changes") {
  Cells cells;
  CHECK(cells.Create({}).ok());
  const CellKind kinds[] = {CellKind::kInc};
  uint32_t first = 77;
  CHECK(Reserve(cells, kinds, 1, &first).ok());
  uint32_t none = 77;
  const uint32_t too_many = cells.region().max_cells() - kRunCells + 1;
  CHECK_EQ(Reserve(cells, kinds, too_many, &none).code, Code::kTooManyCells);
  CHECK_EQ(Reserve(cells, kinds, ~0u, &none).code, Code::kTooManyCells);
  CHECK_EQ(none, 77);
  CHECK_EQ(cells.used(), 1);
  CHECK(Reserve(cells, kinds, 1, &first).ok());
  CHECK_EQ(first, 1);
}

TEST("given 127 claimed shards, when one more is claimed, then it is shard 0, until one is given back") {
  Cells cells;
  CHECK(cells.Create({}).ok());
  std::set<uint32_t> claimed;
  for (uint32_t i = 1; i < kShards; i++) claimed.insert(cells.Claim());
  CHECK_EQ(claimed.size(), kShards - 1);
  CHECK_EQ(*claimed.begin(), 1);
  CHECK_EQ(*claimed.rbegin(), kShards - 1);
  CHECK_EQ(cells.shards_used(), kShards);
  CHECK_EQ(cells.Claim(), kSharedShard);
  cells.GiveBack(kSharedShard);  // does nothing: the shared shard has no owner
  CHECK_EQ(cells.Claim(), kSharedShard);

  cells.GiveBack(93);
  CHECK_EQ(cells.Claim(), 93);
  CHECK_EQ(cells.Claim(), kSharedShard);
}

TEST("given a shard with values, when it is released and claimed again, then it still has the values, and they count") {
  Cells cells;
  CHECK(cells.Create({}).ok());
  const CellKind kinds[] = {CellKind::kInc};
  uint32_t index = 0;
  CHECK(Reserve(cells, kinds, 1, &index).ok());
  const uint32_t shard = cells.Claim();
  AddShared(cells.region().InShard(shard, index), 41);
  cells.GiveBack(shard);
  CHECK_EQ(cells.Total(index), 41);
  CHECK_EQ(cells.Claim(), shard);
  AddShared(cells.region().InShard(shard, index), 1);
  CHECK_EQ(cells.Total(index), 42);
}

TEST("given a shard that was never in use, when its row is mapped, then the call fails, until the shard is claimed") {
  Cells cells;
  CHECK(cells.Create({}).ok());
  uint32_t index = 0;
  const CellKind kind = CellKind::kInc;
  CHECK(Reserve(cells, &kind, 1, &index).ok());
  void* row = nullptr;
  CHECK(cells.MapShard(0, 1, &row).code == Code::kInvalid);
  CHECK(cells.MapShard(0, kShards, &row).code == Code::kInvalid);
  CHECK_EQ(cells.Claim(), 1);
  cells.GiveBack(1);
  if (!CHECK(cells.MapShard(0, 1, &row).ok())) return;
  cells.region().ForgetRow(row);
  Region::UnmapRow(row, cells.region().granule_bytes());
}

TEST("given shards and runs that come in turns, when each shard writes each cell, then every cell has memory and counts") {
  Cells cells;
  CHECK(cells.Create({}).ok());
  const std::vector<CellKind> kinds(kRunCells, CellKind::kInc);
  std::vector<uint32_t> runs(4), shards = {kSharedShard};
  for (uint32_t& run : runs) {
    CHECK(Reserve(cells, kinds.data(), kRunCells, &run).ok());
    for (int i = 0; i < 3; i++) shards.push_back(cells.Claim());
  }
  for (const uint32_t run : runs) {
    for (const uint32_t index : {run, run + kRunCells - 1}) {
      for (const uint32_t shard : shards) AddShared(cells.region().InShard(shard, index), shard + 1);
      CHECK_EQ(cells.Total(index), 13 * 14 / 2);
    }
  }
}

TEST("given cells of all kinds over three blocks and shards, when neighbours are read together, then each has its own value") {
  Cells cells;
  CHECK(cells.Create({}).ok());
  std::vector<CellKind> kinds;
  for (uint32_t i = 0; i < 3 * kRunCells; i++) kinds.push_back(static_cast<CellKind>((i / 5 + i / 100) % 7));
  uint32_t first = 0;
  CHECK(Reserve(cells, kinds.data(), static_cast<uint32_t>(kinds.size()), &first).ok());
  const uint32_t shards[] = {kSharedShard, cells.Claim(), cells.Claim()};
  const uint32_t bits[] = {1, 4, 2};  // so that a sum, a largest value and the value of shard 0 differ
  std::vector<uint64_t> expected;
  for (uint32_t i = 0; i < kinds.size(); i++) {
    for (uint32_t s = 0; s < 3 && kinds[i] != CellKind::kNone; s++) {
      Set(cells.region().InShard(shards[s], first + i), i * 8 + bits[s]);
    }
    switch (kinds[i]) {
      case CellKind::kNone: expected.push_back(0); break;
      case CellKind::kStore: expected.push_back(i * 8 + 1); break;
      case CellKind::kMin:
      case CellKind::kMax: expected.push_back(i * 8 + 4); break;
      default: expected.push_back(i * 24 + 7);
    }
  }
  for (const uint32_t begin : {0u, 3u, kRunCells - 1}) {
    std::vector<uint64_t> totals(kinds.size() - begin, 77);
    cells.Totals(first + begin, static_cast<uint32_t>(totals.size()), totals.data());
    CHECK(std::equal(totals.begin(), totals.end(), expected.begin() + begin));
  }
}

constexpr uint32_t kNoneCell = 0, kIncCell = 1, kStoreCell = 2, kMinCell = 3, kMaxCell = 4;

struct OneOfEach {
  OneOfEach() {
    CHECK(cells.Create({}).ok());
    const CellKind kinds[] = {CellKind::kNone, CellKind::kInc, CellKind::kStore, CellKind::kMin, CellKind::kMax};
    uint32_t first = 0;
    CHECK(Reserve(cells, kinds, 5, &first).ok());
    CHECK_EQ(first, 0);
    CHECK_EQ(cells.Claim(), 1);
    CHECK_EQ(cells.Claim(), 2);
  }
  // Collects only the inc cell.
  void Collect(uint32_t bank, uint32_t flushed) {
    const CellRun run = {0, 1, CellKind::kInc, 1};
    const ShardSelection all = ShardSelection::All(cells.shards_used());
    Collection(cells, all, bank, flushed).Collect(kIncCell, &run, 1);
  }
  void SetAll(uint32_t index, uint64_t in_0, uint64_t in_1, uint64_t in_2) {
    Set(cells.region().InShard(0, index), in_0);
    Set(cells.region().InShard(1, index), in_1);
    Set(cells.region().InShard(2, index), in_2);
  }
  Cells cells;
};

TEST("given a cell of each kind, when its shards are combined, then inc is the sum, store is shard 0, min and max the largest") {
  OneOfEach one;
  for (uint32_t index = 0; index < 5; index++) {
    CHECK_EQ(one.cells.Total(index), 0);
    one.SetAll(index, 10, 30, 20);
  }
  CHECK_EQ(one.cells.Total(kNoneCell), 0);
  CHECK_EQ(one.cells.Total(kIncCell), 60);
  CHECK_EQ(one.cells.Total(kStoreCell), 10);
  CHECK_EQ(one.cells.Total(kMinCell), 30);
  CHECK_EQ(one.cells.Total(kMaxCell), 30);

  one.SetAll(kIncCell, UINT64_MAX, 1, 5);  // wraps, as the contract of an add says
  CHECK_EQ(one.cells.Total(kIncCell), 5);
  one.SetAll(kMaxCell, UINT64_MAX, 1, 5);
  CHECK_EQ(one.cells.Total(kMaxCell), UINT64_MAX);
}

TEST("given complements of minima, when they are shown, then the text is the least observed value, or 0 if there is none") {
  struct {
    const char* what;
    uint64_t complement, max, expected;
  } const cases[] = {
      {"nothing observed", 0, 0, 0},
      {"0 observed", ~uint64_t{0}, 0, 0},
      {"0 and 9 observed", ~uint64_t{0}, 9, 0},
      {"7 observed", ~uint64_t{7}, 7, 7},
      {"the largest alone observed: its complement is 0", 0, UINT64_MAX, UINT64_MAX},
      {"the largest and 7 observed", ~uint64_t{7}, UINT64_MAX, 7},
  };
  for (const auto& c : cases) {
    if (!CHECK_EQ(MinimumOf(c.complement, c.max), c.expected)) std::printf("  %s\n", c.what);
  }
}

TEST("given a cell, when it is raised, then only a larger value counts") {
  Cell cell = {};
  for (const uint64_t value : {5u, 3u, 5u, 9u, 0u}) RaiseShared(cell, value);
  CHECK_EQ(Read(cell), 9);
  RaiseShared(cell, UINT64_MAX);
  CHECK_EQ(Read(cell), UINT64_MAX);
}

TEST("given values collected into a bank, when the bank is committed, then only later values are pending") {
  OneOfEach one;
  one.SetAll(kIncCell, 1, 2, 3);
  CHECK_EQ(one.cells.Pending(kIncCell), 6);

  one.Collect(1, 0);
  CHECK_EQ(one.cells.Pending(kIncCell), 6);  // not flushed before the commit
  one.cells.region().SetCommit(CommitOf(1, 1));
  CHECK_EQ(one.cells.Pending(kIncCell), 0);

  AddShared(one.cells.region().InShard(2, kIncCell), 5);
  CHECK_EQ(one.cells.Pending(kIncCell), 5);
  one.Collect(kCrashBank, 1);
  one.cells.region().SetCommit(CommitOf(2, kCrashBank));
  AddShared(one.cells.region().InShard(0, kIncCell), UINT64_MAX - 10);  // past the wrap
  CHECK_EQ(one.cells.Pending(kIncCell), UINT64_MAX - 10);
}

}  // namespace
}  // namespace vmm

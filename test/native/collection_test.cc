// Collection: reads each cell once, over all shards, and writes the values to a bank.

#include "region/collection.h"

#include <algorithm>
#include <random>
#include <vector>

#include "bucket_table.h"
#include "check.h"

namespace vmm {
namespace {

constexpr CellRun kOneOfEach[] = {{0, 1, CellKind::kInc, 1}, {1, 1, CellKind::kStore, 2}, {2, 2, CellKind::kMax, 4}};
constexpr CellKind kKinds[] = {CellKind::kInc, CellKind::kStore, CellKind::kMin, CellKind::kMax};

// Cells of these kinds, with memory in `shards` shards.
struct Some {
  Some(const std::vector<CellKind>& kinds, uint32_t shards) {
    CHECK(cells.Create({}).ok());
    uint32_t first = 0;
    CHECK(cells.Reserve(kinds.data(), static_cast<uint32_t>(kinds.size()), &first).ok());
    cells.Publish();
    while (cells.shards_used() < shards) cells.Claim();
  }
  Cell& At(uint32_t shard, uint32_t index) { return cells.region().InShard(shard, index); }
  uint64_t InBank(uint32_t bank, uint32_t index) { return Read(cells.region().InBank(bank, index)); }
  Cells cells;
};

TEST("given any number of shards and of neighbours, when they are collected, then the bank has the Total of each") {
  std::mt19937_64 random(5);
  for (const uint32_t shards : {1u, 2u, 3u, 4u, 5u, 17u, 128u}) {
    for (const CellKind kind : {CellKind::kInc, CellKind::kStore, CellKind::kMin, CellKind::kMax}) {
      Some some(std::vector<CellKind>(512, kind), shards);
      for (uint32_t shard = 0; shard < shards; shard++) {
        for (uint32_t index = 0; index < 512; index++) Set(some.At(shard, index), random());
      }
      const ShardSelection all = ShardSelection::All(shards);
      const Collection collection(some.cells, all, 1, 0);
      for (const uint32_t count : {1u, 2u, 7u, 8u, 63u, 64u, 65u, 200u}) {
        const uint32_t first = static_cast<uint32_t>(random() % (512 - count));
        const uint32_t offset = std::min(first, 3u);
        for (uint32_t index = 0; index < 512; index++) Set(some.cells.region().InBank(1, index), 77);
        const CellRun run = {offset, count, kind == CellKind::kMin ? CellKind::kMax : kind, 8};
        CHECK_EQ(collection.Collect(first - offset, &run, 1), 8);
        for (uint32_t index = 0; index < 512; index++) {
          const bool is_in = index >= first && index < first + count;
          if (!CHECK_EQ(some.InBank(1, index), is_in ? some.cells.Total(index) : 77)) return;
        }
      }
    }
  }
}

TEST("given shards that are not read, when cells are collected, then what these shards have together counts too") {
  std::mt19937_64 random(6);
  constexpr uint32_t kCells = 70;
  for (const CellKind kind : {CellKind::kInc, CellKind::kStore, CellKind::kMax}) {
    Some some(std::vector<CellKind>(kCells, kind), 9);
    for (uint32_t shard = 0; shard < 9; shard++) {
      for (uint32_t index = 0; index < kCells; index++) Set(some.At(shard, index), random());
    }
    for (uint32_t read = 1; read <= 9; read++) {
      std::vector<uint64_t> others(kCells);
      ShardSelection selection;
      for (uint32_t shard = 0; shard < 9; shard++) {
        if (selection.count < read && (shard == 0 || shard + read > 9 || random() % 2 == 0)) {
          selection.Add(shard);
          continue;
        }
        for (uint32_t index = 0; index < kCells; index++) {
          const uint64_t value = Read(some.At(shard, index));
          others[index] = kind == CellKind::kInc ? others[index] + value : std::max(others[index], value);
        }
      }
      if (read < 9) selection.others = others.data();
      const CellRun run = {0, kCells, kind, 1};
      CHECK_EQ(Collection(some.cells, selection, 1, 0).Collect(0, &run, 1), 1);
      for (uint32_t index = 0; index < kCells; index++) CHECK_EQ(some.InBank(1, index), some.cells.Total(index));
    }
  }
}

TEST("given runs of each kind, when cells change, then the result has the bits of their runs and no others") {
  for (const uint32_t shards : {1u, 2u, 3u, 9u}) {
    Some some({kKinds, kKinds + 4}, shards);
    const ShardSelection all = ShardSelection::All(shards);
    const auto changes = [&] { return Collection(some.cells, all, 1, 0).Collect(0, kOneOfEach, 3); };
    CHECK_EQ(changes(), 0);
    const uint32_t last = shards - 1;
    for (const uint32_t index : {2u, 3u}) {
      Set(some.At(last, index), 1);
      CHECK_EQ(changes(), 4);
      Set(some.At(last, index), 0);
    }
    Set(some.At(kSharedShard, 1), 1);
    CHECK_EQ(changes(), 2);
    Set(some.At(last, 0), uint64_t{1} << 63);
    CHECK_EQ(changes(), 3);
    Set(some.cells.region().InBank(0, 0), uint64_t{1} << 63);  // as after a flush
    CHECK_EQ(changes(), 2);
  }
}

TEST("given histograms in any number of shards, when they are collected, then the bank has the Total of each bucket") {
  const BucketTable table = TimeBuckets();
  std::vector<CellKind> kinds = {CellKind::kMin, CellKind::kMax, CellKind::kInc, CellKind::kTally};
  kinds.resize(kFirstBucket + kBucketCount, CellKind::kBucket);
  const CellRun runs[] = {{0, 2, CellKind::kMax, 1}, {kFirstBucket, kBucketCount, CellKind::kBucket, 2, &table.buckets}};
  std::mt19937_64 random(7);
  for (const uint32_t shards : {1u, 2u, 8u, 9u, 10u, 17u, 128u}) {
    Some some(kinds, shards);
    const ShardSelection all = ShardSelection::All(shards);
    CHECK_EQ(Collection(some.cells, all, 1, 0).Collect(0, runs, 2), 0);
    for (int round = 0; round < 20; round++) {
      // Each shard has values around one of its own; some shards have none.
      for (uint32_t n = 0; n < 2 * shards; n++) {
        const uint32_t shard = static_cast<uint32_t>(random() % shards);
        if (shard % 3 == 1) continue;
        const uint64_t ns = (uint64_t{100} << (shard % 20)) + random() % 5'000;
        Cell* const first = &some.At(shard, 0);
        RaiseShared(first[0], ~(ns / 1000));
        RaiseShared(first[1], ns / 1000);
        AddShared(first[kFirstBucket + SearchedBucket(ns)], random());
      }
      const uint32_t bank = 1 + round % 2;
      const bool is_any = some.cells.Total(0) != 0;
      CHECK_EQ(Collection(some.cells, all, bank, 3 - bank).Collect(0, runs, 2), is_any ? 3 : 0);
      for (uint32_t i = 0; i < kBucketCount; i++) {
        if (!CHECK_EQ(some.InBank(bank, kFirstBucket + i), some.cells.Total(kFirstBucket + i))) return;
      }
    }
  }
}

TEST("given an inc, when its delta is read, then the flushed value is subtracted, also past the wrap") {
  Some some({kKinds, kKinds + 4}, 2);
  Set(some.cells.region().InBank(2, 0), ~uint64_t{0} - 1);
  Set(some.At(1, 0), 5);
  const ShardSelection all = ShardSelection::All(2);
  const Collection collection(some.cells, all, 1, 2);
  CHECK(collection.Collect(0, kOneOfEach, 1));
  CHECK_EQ(collection.Delta(*collection.Now(0), *collection.Flushed(0)), 7);
}

}  // namespace
}  // namespace vmm

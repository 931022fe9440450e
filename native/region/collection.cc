#include "region/collection.h"

namespace vmm {

namespace {

// Where the cells of a run stand: in the shared shard, in the bank of the last flush, and in the bank to write to.
struct Rows {
  const Cell* shared;
  const Cell* flushed;
  Cell* to;
};

// The value of a cell, over all shards of the process: one shard, two, or any number. `cell` is the cell in the shared
// shard. The rows of the shards are `row_cells` apart.
struct OneShard {
  uint64_t Sum(const Cell* cell) const { return Read(*cell); }
  uint64_t Largest(const Cell* cell) const { return Read(*cell); }
};

struct TwoShards {
  uint64_t Sum(const Cell* cell) const { return Read(cell[0]) + Read(cell[row_cells]); }
  uint64_t Largest(const Cell* cell) const {
    const uint64_t shared = Read(cell[0]), own = Read(cell[row_cells]);
    return shared > own ? shared : own;
  }
  const uint32_t row_cells;
};

struct ManyShards {
  uint64_t Largest(const Cell* cell) const {
    uint64_t largest = 0;
    for (uint32_t shard = 0; shard < shards; shard++, cell += row_cells) {
      if (const uint64_t value = Read(*cell); value > largest) largest = value;
    }
    return largest;
  }
  const uint32_t shards;
  const uint32_t row_cells;
};

// All of these store the values of neighbouring cells. A function for incs returns 0 if every inc still has its last
// flushed value. Each of the other functions returns 0 if all values are 0.

template <typename ValueOf>
inline uint64_t StoreIncs(const Rows& rows, uint32_t count, ValueOf value_of) {
  uint64_t differences = 0;
#pragma GCC unroll 4
  for (uint32_t i = 0; i < count; i++) {
    const uint64_t value = value_of(i);
    Set(rows.to[i], value);
    differences |= value ^ Read(rows.flushed[i]);
  }
  return differences;
}

template <typename ValueOf>
inline uint64_t StoreOthers(const Rows& rows, uint32_t count, ValueOf value_of) {
  uint64_t any = 0;
  for (uint32_t i = 0; i < count; i++) {
    const uint64_t value = value_of(i);
    Set(rows.to[i], value);
    any |= value;
  }
  return any;
}

template <typename Shards>
inline uint64_t CollectIncs(const Shards& shards, const Rows& rows, uint32_t count) {
  return StoreIncs(rows, count, [&](uint32_t i) { return shards.Sum(rows.shared + i); });
}

// Shard by shard, since the cells of one shard are neighbours in memory.
uint64_t CollectIncs(const ManyShards& shards, Rows rows, uint32_t count) {
  constexpr uint32_t kSumsAtOnce = 64;
  uint64_t differences = 0;
  while (count != 0) {
    const uint32_t some = count < kSumsAtOnce ? count : kSumsAtOnce;
    uint64_t sums[kSumsAtOnce];
    const Cell* row = rows.shared;
    for (uint32_t i = 0; i < some; i++) sums[i] = Read(row[i]) + Read(row[shards.row_cells + i]);
    row += 2 * shards.row_cells;
    for (uint32_t shard = 2; shard < shards.shards - 1; shard++, row += shards.row_cells) {
#pragma GCC unroll 4
      for (uint32_t i = 0; i < some; i++) sums[i] += Read(row[i]);
    }
    differences |= StoreIncs(rows, some, [&](uint32_t i) { return sums[i] + Read(row[i]); });
    rows = {rows.shared + some, rows.flushed + some, rows.to + some};
    count -= some;
  }
  return differences;
}

template <typename Shards, typename RowsAt>
inline uint64_t CollectRuns(const Shards& shards, const CellRun* runs, uint32_t run_count, RowsAt rows_at) {
  uint64_t changes = 0;
  Rows begin = {};
  uint32_t chunk = ~0u;
  for (const CellRun* run = runs; run != runs + run_count; run++) {
    if (run->first / kRunCells != chunk) {
      chunk = run->first / kRunCells;
      begin = rows_at(chunk * kRunCells);
    }
    const uint32_t at = run->first % kRunCells;
    const Rows rows = {begin.shared + at, begin.flushed + at, begin.to + at};
    uint64_t difference = 0;
    switch (run->kind) {
      case CellKind::kInc: difference = CollectIncs(shards, rows, run->count); break;
      case CellKind::kStore: difference = StoreOthers(rows, run->count, [&](uint32_t i) { return Read(rows.shared[i]); }); break;
      default: difference = StoreOthers(rows, run->count, [&](uint32_t i) { return shards.Largest(rows.shared + i); }); break;
    }
    if (difference != 0) changes |= run->bit;
  }
  return changes;
}

}  // namespace

Collection::Collection(const Cells& cells, uint32_t bank, uint32_t flushed)
    : region_(cells.region()), bank_(bank), flushed_(flushed), shards_(cells.shards_used()) {
  std::atomic_thread_fence(std::memory_order_release);  // pairs with the acquire fence in Cells::Pending
}

uint64_t Collection::Collect(uint32_t first, const CellRun* runs, uint32_t run_count) const {
  const auto rows_at = [&](uint32_t offset) {
    const uint32_t index = first + offset;
    return Rows{&region_.InShard(kSharedShard, index), Flushed(index), &region_.InBank(bank_, index)};
  };
  const uint32_t row_cells = region_.chunk_cells();
  switch (shards_) {
    case 1: return CollectRuns(OneShard{}, runs, run_count, rows_at);
    case 2: return CollectRuns(TwoShards{row_cells}, runs, run_count, rows_at);
    default: return CollectRuns(ManyShards{shards_, row_cells}, runs, run_count, rows_at);
  }
}

}  // namespace vmm

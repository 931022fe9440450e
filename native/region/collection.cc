#include "region/collection.h"

namespace vmm {

namespace {

// How many sums are kept in an array while the cells of each shard are added to them.
constexpr uint32_t kSumsAtOnce = 64;

// Stores the values of neighbouring incs. The result is 0 if none of them differs from its last flushed value.
template <typename ValueOf>
inline uint64_t StoreIncs(Cell* to, const Cell* flushed, uint32_t count, ValueOf value_of) {
  uint64_t differences = 0;
#pragma GCC unroll 4
  for (uint32_t i = 0; i < count; i++) {
    const uint64_t value = value_of(i);
    Set(to[i], value);
    differences |= value ^ Read(flushed[i]);
  }
  return differences;
}

}  // namespace

Collection::Collection(const Cells& cells, uint32_t bank, uint32_t flushed)
    : region_(cells.region()), bank_(bank), flushed_(flushed), shards_(cells.shards_used()) {
  std::atomic_thread_fence(std::memory_order_release);  // pairs with the acquire fence in Cells::Pending
}

bool Collection::Collect(uint32_t first, const CellRun* runs, uint32_t run_count) const {
  uint64_t changes = 0;
  for (const CellRun* run = runs; run != runs + run_count; run++) {
    const uint32_t index = first + run->first;
    switch (run->kind) {
      case CellKind::kInc: changes |= CollectSums(index, run->count); break;
      case CellKind::kStore: changes |= CollectStores(index, run->count); break;
      default: changes |= CollectLargest(index, run->count); break;
    }
  }
  return changes != 0;
}

uint64_t Collection::CollectSums(uint32_t index, uint32_t count) const {
  const Cell* shared = &region_.InShard(kSharedShard, index);
  const Cell* flushed = Flushed(index);
  Cell* to = &region_.InBank(bank_, index);
  const uint32_t row_cells = region_.chunk_cells();
  if (shards_ == 1) return StoreIncs(to, flushed, count, [&](uint32_t i) { return Read(shared[i]); });
  if (shards_ == 2) {
    const Cell* const own = shared + row_cells;
    return StoreIncs(to, flushed, count, [&](uint32_t i) { return Read(shared[i]) + Read(own[i]); });
  }
  // Shard by shard, since the cells of one shard are neighbours in memory.
  uint64_t differences = 0;
  while (count != 0) {
    const uint32_t some = count < kSumsAtOnce ? count : kSumsAtOnce;
    uint64_t sums[kSumsAtOnce];
    const Cell* row = shared;
    for (uint32_t i = 0; i < some; i++) sums[i] = Read(row[i]) + Read(row[row_cells + i]);
    row += 2 * row_cells;
    for (uint32_t shard = 2; shard < shards_ - 1; shard++, row += row_cells) {
#pragma GCC unroll 4
      for (uint32_t i = 0; i < some; i++) sums[i] += Read(row[i]);
    }
    differences |= StoreIncs(to, flushed, some, [&](uint32_t i) { return sums[i] + Read(row[i]); });
    shared += some, to += some, flushed += some, count -= some;
  }
  return differences;
}

uint64_t Collection::CollectStores(uint32_t index, uint32_t count) const {
  const Cell* const shared = &region_.InShard(kSharedShard, index);
  Cell* const to = &region_.InBank(bank_, index);
  uint64_t any = 0;
  for (uint32_t i = 0; i < count; i++) {
    const uint64_t value = Read(shared[i]);
    Set(to[i], value);
    any |= value;
  }
  return any;
}

uint64_t Collection::CollectLargest(uint32_t index, uint32_t count) const {
  Cell* const to = &region_.InBank(bank_, index);
  const uint32_t row_cells = region_.chunk_cells();
  uint64_t any = 0;
  for (uint32_t i = 0; i < count; i++) {
    const Cell* cell = &region_.InShard(kSharedShard, index + i);
    uint64_t largest = Read(*cell);
    for (uint32_t shard = 1; shard < shards_; shard++) {
      const uint64_t value = Read(*(cell += row_cells));
      if (value > largest) largest = value;
    }
    Set(to[i], largest);
    any |= largest;
  }
  return any;
}

}  // namespace vmm

#include "region/collection.h"

namespace vmm {

namespace {

// Where the cells of a run stand: in the shared shard, among the values of the shards that are not read (null: there
// are none), in the bank of the last flush, and in the bank to write to.
struct Rows {
  const Cell* shared;
  const uint64_t* others;
  const Cell* flushed;
  Cell* to;

  Rows At(uint32_t i) const { return {shared + i, others == nullptr ? nullptr : others + i, flushed + i, to + i}; }
};

uint64_t LargerOf(uint64_t a, uint64_t b) { return a > b ? a : b; }

// The value of the i-th cell of a run over the shards to read: the shared one, two, or any number of them and those
// that are not read.
struct OneShard {
  uint64_t Sum(const Rows& rows, uint32_t i) const { return Read(rows.shared[i]); }
  uint64_t Largest(const Rows& rows, uint32_t i) const { return Read(rows.shared[i]); }
};

struct TwoShards {
  uint64_t Sum(const Rows& rows, uint32_t i) const { return Read(rows.shared[i]) + Read(rows.shared[second + i]); }
  uint64_t Largest(const Rows& rows, uint32_t i) const { return LargerOf(Read(rows.shared[i]), Read(rows.shared[second + i])); }
  const uint32_t second;  // how many cells behind the shared shard
};

struct ManyShards {
  uint64_t Largest(const Rows& rows, uint32_t i) const {
    uint64_t largest = rows.others == nullptr ? 0 : rows.others[i];
    for (uint32_t n = 0; n < selection.count; n++) largest = LargerOf(largest, Read(Row(rows, n)[i]));
    return largest;
  }
  const Cell* Row(const Rows& rows, uint32_t n) const { return rows.shared + selection.numbers[n] * row_cells; }
  const ShardSelection& selection;
  const uint32_t row_cells;
};

// One or two shards, and those that are not read.
template <typename Shards>
struct WithOthers {
  uint64_t Sum(const Rows& rows, uint32_t i) const { return shards.Sum(rows, i) + rows.others[i]; }
  uint64_t Largest(const Rows& rows, uint32_t i) const { return LargerOf(shards.Largest(rows, i), rows.others[i]); }
  const Shards shards;
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
inline uint64_t StoreNonIncs(const Rows& rows, uint32_t count, ValueOf value_of) {
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
  return StoreIncs(rows, count, [&](uint32_t i) { return shards.Sum(rows, i); });
}

// Shard by shard, since the cells of one shard are neighbours in memory.
uint64_t CollectIncs(const ManyShards& shards, Rows rows, uint32_t count) {
  constexpr uint32_t kSumsAtOnce = 64;
  uint64_t differences = 0;
  for (uint32_t done = 0, some; done < count; done += some, rows = rows.At(some)) {
    some = count - done < kSumsAtOnce ? count - done : kSumsAtOnce;
    uint64_t sums[kSumsAtOnce];
    for (uint32_t i = 0; i < some; i++) sums[i] = Read(rows.shared[i]) + (rows.others == nullptr ? 0 : rows.others[i]);
    const uint32_t last = shards.selection.count - 1;
    for (uint32_t n = 1; n < last; n++) {
      const Cell* const row = shards.Row(rows, n);
#pragma GCC unroll 4
      for (uint32_t i = 0; i < some; i++) sums[i] += Read(row[i]);
    }
    const Cell* const row = shards.Row(rows, last);
    differences |= StoreIncs(rows, some, [&](uint32_t i) { return sums[i] + Read(row[i]); });
  }
  return differences;
}

// Shards whose buckets are added in one pass, so that each sum is written once for all of them.
struct BucketRows {
  static constexpr uint32_t kMost = 8;
  const Cell* rows[kMost];
  uint32_t count = 0;
  BucketRange range;  // where any of these shards can have anything
};

// `kIsFirst`: the sums are 0 so far, and need not be so in memory.
template <uint32_t kCount, bool kIsFirst>
inline void AddRows(const Cell* const* some, BucketRange range, Cell* to) {
  const Cell* rows[kCount + 1];  // in registers
#pragma GCC unroll 8
  for (uint32_t n = 0; n < kCount; n++) rows[n] = some[n];
#pragma GCC unroll 2
  for (uint32_t i = range.begin; i < range.end; i++) {
    uint64_t sum = kIsFirst ? 0 : Read(to[i]);
#pragma GCC unroll 8
    for (uint32_t n = 0; n < kCount; n++) sum += Read(rows[n][i]);
    Set(to[i], sum);
  }
}

template <bool kIsFirst>
void AddRows(const BucketRows& some, BucketRange range, Cell* to) {
  switch (some.count) {
    case 0: return AddRows<0, kIsFirst>(some.rows, range, to);
    case 1: return AddRows<1, kIsFirst>(some.rows, range, to);
    case 2: return AddRows<2, kIsFirst>(some.rows, range, to);
    case 3: return AddRows<3, kIsFirst>(some.rows, range, to);
    case 4: return AddRows<4, kIsFirst>(some.rows, range, to);
    case 5: return AddRows<5, kIsFirst>(some.rows, range, to);
    case 6: return AddRows<6, kIsFirst>(some.rows, range, to);
    case 7: return AddRows<7, kIsFirst>(some.rows, range, to);
    default: return AddRows<BucketRows::kMost, kIsFirst>(some.rows, range, to);
  }
}

// The buckets of one histogram, and whether any of them can hold anything. Only those buckets are read that the
// collected extremes leave possible; the others are 0 in the banks too, since extremes only become wider. What lies
// outside the extremes that were collected just before stays pending, because the line is written by those. `rows`
// begins with the first bucket.
bool CollectBuckets(const ShardSelection& selection, uint32_t row_cells, bool reads_all, const Buckets& buckets,
                    const Rows& rows) {
  constexpr int kMin = -static_cast<int>(kFirstBucket), kMax = kMin + 1;
  const BucketRange whole =
      reads_all ? BucketRange::All(buckets) : BucketRange::Of(buckets, Read(rows.to[kMin]), Read(rows.to[kMax]));
  bool is_first = rows.others == nullptr;
  if (!is_first) {
    for (uint32_t i = whole.begin; i < whole.end; i++) Set(rows.to[i], rows.others[i]);
  }
  BucketRows some;
  const auto add = [&] {
    if (is_first) {
      AddRows<true>(some, whole, rows.to);
    } else {
      AddRows<false>(some, reads_all ? whole : some.range.Within(whole), rows.to);
    }
    is_first = false;
    some = {};
  };
  for (uint32_t n = 0; n < selection.count; n++) {
    const Cell* const row = rows.shared + selection.numbers[n] * row_cells;
    const uint64_t complement = Read(row[kMin]), max = Read(row[kMax]);
    if (!reads_all && complement == 0 && max == 0) continue;
    some.rows[some.count++] = row;
    // The first rows are read over the whole range, since each bucket of it gets a value.
    if (!is_first && !reads_all) some.range = some.range.With(BucketRange::Of(buckets, complement, max));
    if (some.count == BucketRows::kMost) add();
  }
  if (is_first || some.count != 0) add();
  return whole.begin != whole.end;
}

template <typename Shards, typename BucketsOf, typename RowsAt>
inline uint64_t CollectRuns(const Shards& shards, BucketsOf collect_buckets, const CellRun* runs, uint32_t run_count,
                            RowsAt rows_at) {
  uint64_t changes = 0;
  Rows begin = {};
  uint32_t chunk = ~0u;
  for (const CellRun* run = runs; run != runs + run_count; run++) {
    if (run->first / kRunCells != chunk) {
      chunk = run->first / kRunCells;
      begin = rows_at(chunk * kRunCells);
    }
    const Rows rows = begin.At(run->first % kRunCells);
    uint64_t difference = 0;
    switch (run->kind) {
      case CellKind::kInc: difference = CollectIncs(shards, rows, run->count); break;
      case CellKind::kBucket: difference = collect_buckets(*run->buckets, rows) ? 1 : 0; break;
      case CellKind::kStore: difference = StoreNonIncs(rows, run->count, [&](uint32_t i) { return Read(rows.shared[i]); }); break;
      default: difference = StoreNonIncs(rows, run->count, [&](uint32_t i) { return shards.Largest(rows, i); }); break;
    }
    if (difference != 0) changes |= run->bit;
  }
  return changes;
}

}  // namespace

Collection::Collection(const Cells& cells, const ShardSelection& shards, uint32_t bank, uint32_t flushed)
    : region_(cells.region()), shards_(shards), bank_(bank), flushed_(flushed) {
  std::atomic_thread_fence(std::memory_order_release);  // pairs with the acquire fence in Cells::Pending
}

uint64_t Collection::Collect(uint32_t first, const CellRun* runs, uint32_t run_count) const {
  const bool has_others = shards_.others != nullptr;
  const auto rows_at = [&](uint32_t offset) {
    const uint32_t index = first + offset;
    return Rows{&region_.InShard(kSharedShard, index), has_others ? shards_.others + index : nullptr, Flushed(index),
                &region_.InBank(bank_, index)};
  };
  const uint32_t row_cells = region_.chunk_cells();
  const bool reads_all = region_.is_degraded();
  const auto collect_buckets = [&](const Buckets& buckets, const Rows& rows) {
    return CollectBuckets(shards_, row_cells, reads_all, buckets, rows);
  };
  const auto collect = [&](const auto& shards) { return CollectRuns(shards, collect_buckets, runs, run_count, rows_at); };
  if (shards_.count == 1) return has_others ? collect(WithOthers<OneShard>{}) : collect(OneShard{});
  if (shards_.count == 2) {
    const TwoShards two = {shards_.numbers[1] * row_cells};
    return has_others ? collect(WithOthers<TwoShards>{two}) : collect(two);
  }
  return collect(ManyShards{shards_, row_cells});
}

}  // namespace vmm

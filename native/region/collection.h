// A Collection reads the cells for one line. It reads each cell once, over all shards, and stores the value in a bank.
//
// Thread-safety:       one thread at a time writes to a bank. Other threads may add to the cells at the same time.
// Async-signal-safety: safe.
// Memory ordering:     cells are relaxed, see cell.h. The constructor is a release fence, which pairs with the acquire
//                      fence in Cells::Pending: a thread that reads a value of this collection also sees the commit
//                      before it.
// Lifetime:            one line.

#pragma once

#include <cstdint>

#include "region/bucket_range.h"
#include "region/cells.h"

namespace vmm {

// Neighbouring cells whose shards become one value in the same way. A run does not cross a multiple of kRunCells.
struct CellRun {
  uint32_t first;  // counted from the first cell of the schema or of a device
  uint32_t count;
  CellKind kind;  // kInc, kStore, kBucket, or kMax for minima and maxima; gaps and tallies are in no run
  uint64_t bit;   // stands for this run in the result of Collect
  // Of a kBucket run, which is the buckets of one histogram; the cells of its extremes are before them.
  const Buckets* buckets = nullptr;
};

class Collection {
 public:
  // Reads these shards, which outlive the collection. Stores values in bank `bank`. Bank `flushed` holds the values of
  // the last flush.
  Collection(const Cells& cells, const ShardSelection& shards, uint32_t bank, uint32_t flushed);

  // Reads the cells of these runs, which are counted from cell `first`. The result has the bit of each run in which
  // something is new: an inc has changed since the last flush, a histogram has ever counted anything, or another cell
  // is not 0.
  uint64_t Collect(uint32_t first, const CellRun* runs, uint32_t run_count) const;

  // The collected value, and the value of the last flush. Neighbouring cells of a run are neighbours here too.
  const Cell* Now(uint32_t index) const { return &region_.InBank(bank_, index); }
  const Cell* Flushed(uint32_t index) const { return &region_.InBank(flushed_, index); }

  // The buckets that may hold anything; the others are 0, and were 0 at the last flush. `now` is the first bucket, as
  // Now returned it.
  BucketRange Range(const Buckets& buckets, const Cell* now) const {
    // If memory was lost, the extremes may be lost too.
    if (region_.is_degraded()) return BucketRange::All(buckets);
    return BucketRange::Of(buckets, Read(now[-static_cast<int>(kFirstBucket)]), Read(now[1 - static_cast<int>(kFirstBucket)]));
  }

  // How much an inc has grown from `flushed` to `now`.
  uint64_t Delta(const Cell& now, const Cell& flushed) const {
    const uint64_t value = Read(now), last = Read(flushed);
    // A counter wraps at 2^64. A counter whose memory was lost starts again at 0.
    return value < last && region_.is_degraded() ? value : value - last;
  }

  // Does this for each bucket of the range, and returns the sum. The pointers are to the first bucket.
  uint64_t Deltas(const Cell* now, const Cell* flushed, BucketRange range, uint64_t* deltas) const {
    uint64_t sum = 0;
    if (region_.is_degraded()) {
      for (uint32_t i = range.begin; i < range.end; i++) sum += deltas[i] = Delta(now[i], flushed[i]);
      return sum;
    }
#pragma GCC unroll 4
    for (uint32_t i = range.begin; i < range.end; i++) sum += deltas[i] = Read(now[i]) - Read(flushed[i]);
    return sum;
  }

 private:
  const Region& region_;
  const ShardSelection& shards_;
  const uint32_t bank_;
  const uint32_t flushed_;
};

}  // namespace vmm

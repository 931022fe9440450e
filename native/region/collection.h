// A Collection reads cells for one line: each cell once, over all shards, into a bank.
//
// Thread-safety:       one thread at a time writes to a bank; the cells themselves may change meanwhile.
// Async-signal-safety: safe.
// Memory ordering:     each cell is read relaxed, see cell.h. The constructor is a release fence that pairs with the
//                      acquire fence in Cells::Pending: who reads a value of this collection sees the commit that came
//                      before it.
// Lifetime:            of one line.

#pragma once

#include <cstdint>

#include "region/cells.h"

namespace vmm {

// Neighbouring cells whose shards become one value in the same way. A run lies in one chunk.
struct CellRun {
  uint32_t first;  // counted from the first cell of the schema or of a device
  uint32_t count;
  CellKind kind;  // kInc, kStore, or kMax for both extremes; there is no run of gaps
};

class Collection {
 public:
  // Values go to bank `bank`; bank `flushed` has those of the last flush.
  Collection(const Cells& cells, uint32_t bank, uint32_t flushed);

  // Reads the cells of these runs, counted from cell `first`. False: there is nothing to say of them. No inc has
  // changed since the last flush, and every other cell is 0.
  bool Collect(uint32_t first, const CellRun* runs, uint32_t run_count) const;

  // What was collected, and what the last flush had there. Neighbouring cells of a run stand next to one another.
  const Cell* Now(uint32_t index) const { return &region_.InBank(bank_, index); }
  const Cell* Flushed(uint32_t index) const { return &region_.InBank(flushed_, index); }

  // How much an inc has grown from `flushed` to `now`.
  uint64_t Delta(const Cell& now, const Cell& flushed) const {
    const uint64_t value = Read(now), last = Read(flushed);
    // A counter wraps; a counter whose memory was lost begins at 0 again.
    return value < last && region_.is_degraded() ? value : value - last;
  }

 private:
  uint64_t CollectSums(uint32_t index, uint32_t count) const;
  uint64_t CollectStores(uint32_t index, uint32_t count) const;
  uint64_t CollectLargest(uint32_t index, uint32_t count) const;

  const Region& region_;
  const uint32_t bank_;
  const uint32_t flushed_;
  const uint32_t shards_;
};

}  // namespace vmm

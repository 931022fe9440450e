// Cells are the values of all metrics of one store: the region, the kind of each cell, and the owners of shards.
//
// Thread-safety:       Create is called once, before the cells are shared; Reserve, Publish, Claim, GiveBack and
//                      MapShard under the store's lock; the rest by any thread.
// Async-signal-safety: the inline functions are safe; the others are not.
// Memory ordering:     `cells_used` publishes a cell, and `shards_used` a shard, both with release; readers acquire. A
//                      shard passes from one owner to the next under the store's lock, so the next owner's first plain
//                      add sees the last add of the previous owner.
// Lifetime:            as long as the store.

#pragma once

#include <cstdint>

#include "region/idle_shards.h"
#include "region/region.h"
#include "region/shard_claims.h"

namespace vmm {

class Cells {
 public:
  Cells() = default;
  Cells(const Cells&) = delete;
  Cells& operator=(const Cells&) = delete;

  Status Create(const RegionSpec& spec);

  // Reserves a run of `count` cells of these kinds, all 0; `*first` is the index of the first cell. No flush reads them
  // before Publish. After a failure nothing is reserved.
  Status Reserve(const CellKind* kinds, uint32_t count, uint32_t* first);

  // Puts all reserved cells in use: flushes, and readers in other processes, read them from now on.
  void Publish();

  // Claims a shard for one thread alone. Returns kSharedShard when no shard is free, or when there is no memory for
  // one.
  uint32_t Claim();
  void GiveBack(uint32_t shard);

  // Maps the row of `shard` in `chunk` once more, see Region::MapRow. Fails if the shard was never in use: JavaScript
  // takes the number of shards from the header, which belongs to a file that others may have changed.
  Status MapShard(uint32_t chunk, uint32_t shard, void** address);

  Region& region() { return region_; }
  const Region& region() const { return region_; }
  CellKind kind(uint32_t index) const { return kinds_[index]; }
  // Acquire: pairs with the release stores in Publish and Claim.
  uint32_t used() const { return region_.cells_used(); }
  uint32_t shards_used() const { return region_.shards_used(); }
  const ShardClaims& claims() const { return claims_; }
  IdleShards& idle() { return idle_; }

  Cell& Shared(uint32_t index) const { return region_.InShard(kSharedShard, index); }

  // The value of one cell over all shards. The value of a kMin cell is a complement, see MinimumOf.
  uint64_t Total(uint32_t index) const {
    uint64_t total;
    TotalsOfRun(index, 1, &total);
    return total;
  }

  // The values of neighbouring cells.
  void Totals(uint32_t first, uint32_t count, uint64_t* totals) const;

  // What a cell gained since the last commit. A flush that commits in the meantime turns the bank into a working copy,
  // so this reads the commit word a second time.
  uint64_t Pending(uint32_t index) const {
    for (;;) {
      // commit() acquires: pairs with the release store in Region::SetCommit, which publishes the bank. The acquire
      // fence keeps the two reads before the second commit().
      const uint64_t commit = region_.commit();
      const uint64_t flushed = Read(region_.InBank(BankOf(commit), index));
      const uint64_t total = Total(index);
      std::atomic_thread_fence(std::memory_order_acquire);
      if (region_.commit() == commit) return region_.is_degraded() && total < flushed ? total : total - flushed;
    }
  }

 private:
  // The values of neighbouring cells of one kind that lie in one chunk.
  void TotalsOfRun(uint32_t first, uint32_t count, uint64_t* totals) const {
    const CellKind kind = kinds_[first];
    const Cell* const shared = &Shared(first);
    for (uint32_t i = 0; i < count; i++) totals[i] = kind == CellKind::kNone ? 0 : Read(shared[i]);
    if (kind == CellKind::kNone || kind == CellKind::kStore) return;
    // A chunk has the cells of one shard after those of another. Each shard is read as memory lies.
    const uint32_t shards = shards_used(), row_cells = region_.chunk_cells();
    for (uint32_t s = 1; s < shards; s++) {
      const Cell* const row = shared + s * row_cells;
      if (IsSum(kind)) {
        for (uint32_t i = 0; i < count; i++) totals[i] += Read(row[i]);
      } else {
        for (uint32_t i = 0; i < count; i++) {
          const uint64_t value = Read(row[i]);
          if (value > totals[i]) totals[i] = value;
        }
      }
    }
  }

  Region region_;
  Reservation kind_space_;  // one byte a cell, private to the process
  CellKind* kinds_ = nullptr;
  uint32_t chunks_ = 0;
  uint32_t reserved_ = 0;  // the number of reserved cells; `cells_used` of them are in use
  ShardClaims claims_;
  IdleShards idle_;
};

// The minimum that a kMin cell holds as a complement; 0 while nothing was observed. The cell is 0 in two cases: nothing
// was observed, or the minimum is 2^64-1; then the maximum is 2^64-1 too.
inline uint64_t MinimumOf(uint64_t complement, uint64_t max) {
  if (complement != 0) return ~complement;
  return max == ~uint64_t{0} ? max : 0;
}

}  // namespace vmm

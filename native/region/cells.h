// Cells are all metrics' words of one store: the region, what kind each cell is, and which shards are claimed.
//
// Thread-safety:       Reserve, Publish, Claim, GiveBack and MapShard are called under the store's lock; the rest by
//                      any thread.
// Async-signal-safety: the inline functions are safe; the others are not.
// Memory ordering:     a cell is published by `cells_used`, a shard by `shards_used`, both with release; readers
//                      acquire. A shard passes from one owner to the next under the store's lock, so the next one's
//                      first plain add sees the last one's.
// Lifetime:            as long as the store.

#pragma once

#include <cstdint>

#include "region/region.h"

namespace vmm {

class Cells {
 public:
  Cells() = default;
  Cells(const Cells&) = delete;
  Cells& operator=(const Cells&) = delete;

  Status Create(const RegionSpec& spec);

  // Gives a run of `count` cells of these kinds, all 0; `*first` is the index of the first. On failure nothing changed.
  // No flush reads them before Publish.
  Status Reserve(const CellKind* kinds, uint32_t count, uint32_t* first);

  // Says to readers in other processes that the reserved cells are in use.
  void Publish();

  // A shard for one thread alone, or kSharedShard when none is free or there is no memory for one.
  uint32_t Claim();
  void GiveBack(uint32_t shard);

  // A further mapping of the row of cells that `shard`, a claimed one or the shared one, has in `chunk`; see
  // Region::MapRow.
  Status MapShard(uint32_t chunk, uint32_t shard, void** address);

  Region& region() { return region_; }
  const Region& region() const { return region_; }
  CellKind kind(uint32_t index) const { return kinds_[index]; }
  // Acquire: pairs with the release stores in Publish and Claim.
  uint32_t used() const { return region_.cells_used(); }
  uint32_t shards_used() const { return region_.shards_used(); }

  Cell& Shared(uint32_t index) const { return region_.InShard(kSharedShard, index); }

  // The value of one cell over all shards; a kMin cell stays complemented.
  uint64_t Total(uint32_t index) const {
    const uint32_t shards = shards_used();
    uint64_t total = 0;
    switch (kind(index)) {
      case CellKind::kNone: break;
      case CellKind::kStore: return Read(Shared(index));
      case CellKind::kInc:
        for (uint32_t s = 0; s < shards; s++) total += Read(region_.InShard(s, index));
        break;
      case CellKind::kMin:
      case CellKind::kMax:
        for (uint32_t s = 0; s < shards; s++) {
          const uint64_t value = Read(region_.InShard(s, index));
          if (value > total) total = value;
        }
        break;
    }
    return total;
  }

  // Before a collection. Release: pairs with the acquire fence in Pending. Who reads a value of this collection sees
  // the commit that came before it.
  void BeginCollection() const { std::atomic_thread_fence(std::memory_order_release); }

  // Reads each of `count` cells from `first` on once, over all shards, into bank `bank`.
  void Collect(uint32_t bank, uint32_t first, uint32_t count) const {
    for (uint32_t index = first; index < first + count; index++) Set(region_.InBank(bank, index), Total(index));
  }

  // What came in since the last commit. A flush that commits meanwhile makes the bank somebody's working copy, so the
  // commit word is looked at again.
  uint64_t Pending(uint32_t index) const {
    for (;;) {
      // Acquire, twice: the first pairs with the release store of a commit; the fence keeps the reads before the
      // second.
      const uint64_t commit = region_.commit();
      const uint64_t flushed = Read(region_.InBank(BankOf(commit), index));
      const uint64_t total = Total(index);
      std::atomic_thread_fence(std::memory_order_acquire);
      if (region_.commit() == commit) return region_.is_degraded() && total < flushed ? total : total - flushed;
    }
  }

 private:
  Region region_;
  Reservation kind_space_;  // one byte a cell, private to the process
  CellKind* kinds_ = nullptr;
  uint32_t chunks_ = 0;
  uint32_t reserved_ = 0;  // how many cells; `cells_used` of them are published
  bool claimed_[kShards] = {true};
};

// A kMin cell as a value: 0 while nothing was observed. All-ones in `max` tells a minimum of 2^64-1 from none.
inline uint64_t MinimumOf(uint64_t complement, uint64_t max) {
  if (complement != 0) return ~complement;
  return max == ~uint64_t{0} ? max : 0;
}

}  // namespace vmm

#include "region/idle_shards.h"

#include "region/cells.h"

namespace vmm {

Status IdleShards::Create(const Region& region) {
  return space_.Make(region.max_cells() * sizeof(uint64_t), Reservation::Of::kPrivate);
}

Status IdleShards::UseChunk(const Region& region, uint32_t chunk) {
  const uint64_t bytes = region.chunk_cells() * sizeof(uint64_t);
  return space_.Use(chunk * bytes, bytes);
}

const ShardSelection& IdleShards::Select(const Cells& cells) {
  // Before the claims themselves: what is claimed or given back from here on makes the next call read again.
  const uint64_t changes = cells.claims().changes();
  const bool is_degraded = cells.region().is_degraded();
  if (changes == changes_ && !is_degraded) return selection_;
  changes_ = is_degraded ? kUnknown : changes;
  selection_ = {};
  uint32_t idle[kShards];
  uint32_t idle_count = 0;
  for (uint32_t shard = 0; shard < cells.shards_used(); shard++) {
    if (is_degraded || cells.claims().IsClaimed(shard)) {
      selection_.Add(shard);
    } else {
      idle[idle_count++] = shard;
    }
  }
  if (idle_count != 0) Sum(cells, idle, idle_count);
  return selection_;
}

void IdleShards::Sum(const Cells& cells, const uint32_t* idle, uint32_t idle_count) {
  selection_.others = sums();
  const uint32_t used = cells.used();
  for (uint32_t begin = 0, end; begin < used; begin = end) {
    // Neighbours of one kind, in one chunk.
    const CellKind kind = cells.kind(begin);
    for (end = begin + 1; end < used && end % kRunCells != 0 && cells.kind(end) == kind; end++) {
    }
    // Stores are in the shared shard alone. Flushes read no tallies.
    if (kind == CellKind::kNone || kind == CellKind::kStore || kind == CellKind::kTally) continue;
    uint64_t* const to = sums() + begin;
    for (uint32_t i = 0; i < end - begin; i++) to[i] = 0;
    for (uint32_t n = 0; n < idle_count; n++) {
      const Cell* const row = &cells.region().InShard(idle[n], begin);
      for (uint32_t i = 0; i < end - begin; i++) {
        const uint64_t value = Read(row[i]);
        to[i] = IsSum(kind) ? to[i] + value : value > to[i] ? value : to[i];
      }
    }
  }
}

}  // namespace vmm

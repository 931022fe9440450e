#include "region/cells.h"

#include <algorithm>

namespace vmm {

Status Cells::Create(const RegionSpec& spec) {
  if (Status status = region_.Create(spec); !status.ok()) return status;
  if (Status status = kind_space_.Make(region_.max_cells(), Reservation::Of::kPrivate); !status.ok()) return status;
  kinds_ = reinterpret_cast<CellKind*>(kind_space_.base());
  return idle_.Create(region_);
}

Status Cells::Reserve(const CellKind* kinds, uint32_t count, uint32_t* first) {
  uint64_t begin = reserved_;
  const uint64_t room = kRunCells - begin % kRunCells;
  if (count > room) begin += room % kRunCells;  // a metric's cells are all in one run
  const uint64_t end = begin + count;
  if (end > region_.max_cells()) return {Code::kTooManyCells};

  const uint32_t chunks = count == 0 ? chunks_ : region_.chunk_of(static_cast<uint32_t>(end - 1)) + 1;
  for (uint32_t chunk = chunks_; chunk < chunks; chunk++) {
    for (uint32_t bank = 0; bank < kBanks; bank++) {
      if (Status status = region_.AllocateRow(chunk, bank); !status.ok()) return status;
    }
    for (uint32_t shard = 0; shard < region_.shards_used(); shard++) {
      if (Status status = region_.AllocateRow(chunk, kFirstShardRow + shard); !status.ok()) return status;
    }
    const uint64_t kinds_page = chunk * region_.chunk_cells() / region_.granule_bytes() * region_.granule_bytes();
    if (Status status = kind_space_.Use(kinds_page, region_.granule_bytes()); !status.ok()) return status;
    if (Status status = idle_.UseChunk(region_, chunk); !status.ok()) return status;
    chunks_ = chunk + 1;
  }
  for (uint32_t i = 0; i < count; i++) kinds_[begin + i] = kinds[i];
  reserved_ = static_cast<uint32_t>(end);
  *first = static_cast<uint32_t>(begin);
  return {};
}

void Cells::Publish() {
  // Release: publishes the cells' kinds, their memory and their device to readers of used().
  region_.SetCellsUsed(reserved_);
}

void Cells::Totals(uint32_t first, uint32_t count, uint64_t* totals) const {
  const uint32_t chunk_cells = region_.chunk_cells();
  for (uint32_t done = 0; done < count;) {
    const uint32_t index = first + done;
    const uint32_t room = std::min(count - done, chunk_cells - (index & (chunk_cells - 1)));
    uint32_t same = 1;
    while (same < room && kinds_[index + same] == kinds_[index]) same++;
    TotalsOfRun(index, same, totals + done);
    done += same;
  }
}

uint32_t Cells::Claim() {
  const uint32_t shards = region_.shards_used();
  // Take the lowest free shard, so that few shards are ever in use: each shard in use costs a read for every sum.
  for (uint32_t shard = 1; shard < kShards; shard++) {
    if (claims_.IsClaimed(shard)) continue;
    if (shard >= shards) {
      for (uint32_t chunk = 0; chunk < chunks_; chunk++) {
        if (!region_.AllocateRow(chunk, kFirstShardRow + shard).ok()) return kSharedShard;
      }
      // Release: publishes the shard's memory to readers of shards_used().
      region_.SetShardsUsed(shard + 1);
    }
    claims_.Claim(shard);
    return shard;
  }
  return kSharedShard;
}

Status Cells::MapShard(uint32_t chunk, uint32_t shard, void** address) {
  if (shard >= region_.shards_used()) return {Code::kInvalid};
  // A row without memory gets memory first: otherwise the mapping could never be touched.
  if (chunk >= chunks_) {
    if (Status status = region_.AllocateRow(chunk, kFirstShardRow + shard); !status.ok()) return status;
  }
  return region_.MapRow(chunk, kFirstShardRow + shard, address);
}

void Cells::GiveBack(uint32_t shard) {
  if (shard != kSharedShard) claims_.GiveBack(shard);
}

}  // namespace vmm

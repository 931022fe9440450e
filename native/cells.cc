#include "cells.h"

#include <errno.h>
#include <sys/mman.h>

namespace vmm {

Status Cells::Create(uint64_t schema_fingerprint) {
  if (Status status = region_.Create(schema_fingerprint); !status.ok()) return status;
  // One byte a cell, private to the process; pages come as they are touched.
  void* kinds = mmap(nullptr, region_.max_cells(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (kinds == MAP_FAILED) return {Code::kMemory, errno, "mmap"};
  kinds_ = static_cast<CellKind*>(kinds);
  return {};
}

Cells::~Cells() {
  if (kinds_ != nullptr) munmap(kinds_, region_.max_cells());
}

Status Cells::Reserve(const CellKind* kinds, uint32_t count, uint32_t* first) {
  uint64_t begin = reserved_;
  const uint64_t room = kRunCells - begin % kRunCells;
  if (count > room) begin += room % kRunCells;  // no metric may straddle two runs
  const uint64_t end = begin + count;
  if (end > region_.max_cells()) return {Code::kFull, 0, "reserve"};

  const uint32_t chunks = count == 0 ? chunks_ : region_.chunk_of(static_cast<uint32_t>(end - 1)) + 1;
  const uint32_t shards = region_.header().shards_used.load(std::memory_order_relaxed);  // written under the lock only
  for (uint32_t chunk = chunks_; chunk < chunks; chunk++) {
    for (uint32_t row = 0; row < kBanks + shards; row++) {
      if (Status status = region_.Back(chunk, row); !status.ok()) return status;
    }
    chunks_ = chunk + 1;
  }
  for (uint32_t i = 0; i < count; i++) kinds_[begin + i] = kinds[i];
  reserved_ = static_cast<uint32_t>(end);
  *first = static_cast<uint32_t>(begin);
  return {};
}

void Cells::Publish() {
  // Release: publishes the cells' kinds, their memory and their device to readers of used().
  region_.header().cells_used.store(reserved_, std::memory_order_release);
}

uint32_t Cells::Claim() {
  RegionHeader& header = region_.header();
  const uint32_t shards = header.shards_used.load(std::memory_order_relaxed);  // written under the lock only
  // The lowest free one: what was used before is used again, and few shards are to be summed.
  for (uint32_t shard = 1; shard < kShards; shard++) {
    if (claimed_[shard]) continue;
    if (shard >= shards) {
      for (uint32_t chunk = 0; chunk < chunks_; chunk++) {
        if (!region_.Back(chunk, kBanks + shard).ok()) return kSharedShard;
      }
      // Release: publishes the shard's memory to readers of shards_used().
      header.shards_used.store(shard + 1, std::memory_order_release);
    }
    claimed_[shard] = true;
    return shard;
  }
  return kSharedShard;
}

void Cells::GiveBack(uint32_t shard) {
  if (shard != kSharedShard) claimed_[shard] = false;
}

}  // namespace vmm

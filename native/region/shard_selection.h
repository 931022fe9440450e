// A ShardSelection says how to read a value over all shards: which shards to read, and what the others hold together.
//
// Thread-safety:       a plain value.
// Async-signal-safety: safe.

#pragma once

#include <cstdint>

#include "region/format.h"

namespace vmm {

struct ShardSelection {
  // For each cell, the value of all shards that are not in `numbers`: the sum of an inc, the largest of another cell.
  // Null: there are no others.
  const uint64_t* others = nullptr;
  uint32_t count = 0;
  uint32_t numbers[kShards];  // the first one is kSharedShard

  void Add(uint32_t shard) { numbers[count++] = shard; }

  // The first `shards` shards, which is all of them.
  static ShardSelection All(uint32_t shards) {
    ShardSelection all;
    for (uint32_t shard = 0; shard < shards; shard++) all.Add(shard);
    return all;
  }
};

}  // namespace vmm

// ShardClaims are the owners of shards: which shards a thread has claimed, and how often that has changed.
//
// Thread-safety:       Claim and GiveBack are called under the store's lock; the rest by any thread.
// Async-signal-safety: safe.
// Memory ordering:     each change is counted with release, after the set of shards has changed; readers acquire the
//                      count, and then read the set. So a reader that finds the count of a GiveBack also sees the last
//                      add of the owner.
// Lifetime:            as long as the store.

#pragma once

#include <atomic>
#include <cstdint>

#include "region/format.h"

namespace vmm {

class ShardClaims {
 public:
  void Claim(uint32_t shard) { Change(shard, WordOf(shard) | BitOf(shard)); }
  void GiveBack(uint32_t shard) { Change(shard, WordOf(shard) & ~BitOf(shard)); }

  bool IsClaimed(uint32_t shard) const { return (WordOf(shard) & BitOf(shard)) != 0; }
  // How often shards were claimed or given back.
  uint64_t changes() const { return changes_.load(std::memory_order_acquire); }

 private:
  static constexpr uint32_t kWordBits = 64;
  static_assert(kShards % kWordBits == 0);

  static uint64_t BitOf(uint32_t shard) { return uint64_t{1} << (shard % kWordBits); }
  uint64_t WordOf(uint32_t shard) const { return claimed_[shard / kWordBits].load(std::memory_order_relaxed); }
  void Change(uint32_t shard, uint64_t word) {
    claimed_[shard / kWordBits].store(word, std::memory_order_relaxed);  // published by the count
    changes_.store(changes_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  std::atomic<uint64_t> claimed_[kShards / kWordBits] = {1 << kSharedShard};  // nobody claims the shared shard
  std::atomic<uint64_t> changes_{0};
};

}  // namespace vmm

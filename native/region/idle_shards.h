// IdleShards keep the values that all shards without an owner have together. Nobody adds to these shards, so a flush
// need not read them each time: however many threads once lived, a flush reads the shards of those that live now.
//
// The sums are private to the process, and only flushes use them. Totals and the last line of a dying process read
// every shard.
//
// Thread-safety:       Create and UseChunk are called under the store's lock; Select and Forget under the flusher's
//                      lock.
// Async-signal-safety: Select and Forget are safe: they take no lock and no memory, since a handler may call exit(),
//                      which flushes. The others are not safe.
// Memory ordering:     see ShardClaims. An idle shard counts as read when it was summed. If a thread claims it later,
//                      its adds are in a later line; and each shard is either summed or read, whatever happens
//                      meanwhile.
// Lifetime:            as long as the store.

#pragma once

#include <cstdint>

#include "region/reservation.h"
#include "region/shard_selection.h"

namespace vmm {

class Cells;
class Region;

class IdleShards {
 public:
  IdleShards() = default;
  IdleShards(const IdleShards&) = delete;
  IdleShards& operator=(const IdleShards&) = delete;

  // Reserves the address space of the sums.
  Status Create(const Region& region);
  // Makes the sums of one more chunk usable.
  Status UseChunk(const Region& region, uint32_t chunk);

  // The shards that a flush has to read now: those with an owner, or all when the region has lost memory. Reads the
  // others if a shard was claimed or given back since the last call. The result holds until the next call.
  const ShardSelection& Select(const Cells& cells);

  // A retirement has set this cell to 0 in every shard.
  void Forget(uint32_t index) { sums()[index] = 0; }

 private:
  static constexpr uint64_t kUnknown = ~uint64_t{0};

  uint64_t* sums() const { return reinterpret_cast<uint64_t*>(space_.base()); }
  void Sum(const Cells& cells, const uint32_t* idle, uint32_t idle_count);

  Reservation space_;  // one word a cell; 0 where nothing was summed yet
  ShardSelection selection_;
  uint64_t changes_ = kUnknown;  // ShardClaims::changes() of the selection
};

}  // namespace vmm

// The shards that a thread has without asking for each: one per store, claimed by the first Current on the thread, and
// given back when the thread ends.
//
// Thread-safety:       any thread; each has a list of its own.
// Async-signal-safety: Find is safe, also when it interrupts any function here on its own thread. The others are not.
// Memory ordering:     the list is read by its own thread and by handlers on that thread; see each operation.
// Lifetime:            an entry keeps a reference to its store: until the thread ends, or until the thread claims its
//                      first shard of some other store after this one was closed. Entries are given back by a
//                      destructor of pthread_key_create, so the code must stay mapped; binding.gyp links it so.

#pragma once

#include "store/native_abi.h"

namespace vmm {

class Store;

class ThreadShards {
 public:
  // Finds or claims the shard of this thread. Without a free shard, or without memory for the entry, `*out` is the
  // shared shard. A thread that is already giving its shards back gets the shared shard too. kClosed: the store is
  // closed, and the thread has no shard of it.
  static vmm_metrics_status Current(Store* store, vmm_metrics_shard* out);

  // The shard that this thread got from Current; null: none.
  static const vmm_metrics_shard* Find(const Store* store);
};

}  // namespace vmm

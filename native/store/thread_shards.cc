#include "store/thread_shards.h"

#include <pthread.h>

#include <atomic>
#include <new>

#include "base/fork.h"
#include "store/store.h"

namespace vmm {

namespace {

struct Entry {
  Store* store;
  vmm_metrics_shard shard;
  uint32_t process;  // by ForkGeneration
  uint32_t uses_until_retry = 0;
  std::atomic<Entry*> next{nullptr};
};

// A thread that found no free shard looks for one again at every so many uses: each look takes the store's lock.
constexpr uint32_t kUsesPerRetry = 1024;

// A handler reads the list, so the variables are initial-exec on glibc: the first access to any other thread_local of a
// loaded library may call malloc there. musl makes the variables of all threads when it loads a library, and loads no
// library with initial-exec ones.
#ifdef __GLIBC__
#define VMM_HANDLER_TLS __attribute__((tls_model("initial-exec")))
#else
#define VMM_HANDLER_TLS
#endif
VMM_HANDLER_TLS thread_local std::atomic<Entry*> t_first{nullptr};
VMM_HANDLER_TLS thread_local bool t_is_ending = false;

// Takes the entry out of the list before its shard goes back: a handler that runs in between must not find it.
// Release: pairs with the acquire loads in Find, which a handler on this thread makes.
void Free(std::atomic<Entry*>* link) {
  Entry* const entry = link->load(std::memory_order_relaxed);  // this thread stored it
  link->store(entry->next.load(std::memory_order_relaxed), std::memory_order_release);
  // A forked child has its parent's list. The shards stay the parent's, and a lock of the parent's store may be taken
  // for ever.
  if (ForkGeneration::IsOwn(entry->process)) {
    const vmm_metrics_abi& abi = entry->store->abi();
    abi.give_back(entry->store, &entry->shard);
    entry->store->Unreference();
  }
  delete entry;
}

void FreeAll(void*) {
  t_is_ending = true;
  while (t_first.load(std::memory_order_relaxed) != nullptr) Free(&t_first);  // publishes nothing
}

void FreeClosed() {
  for (std::atomic<Entry*>* link = &t_first;;) {
    Entry* const entry = link->load(std::memory_order_relaxed);  // publishes nothing
    if (entry == nullptr) return;
    if (entry->store->is_closed()) {
      Free(link);
    } else {
      link = &entry->next;
    }
  }
}

// Makes sure that FreeAll runs when this thread ends. False: it will not run.
bool FreesAtEnd() {
  struct Key {
    pthread_key_t key;
    bool is_made;
  };
  static const Key key = [] {
    Key made = {};
    made.is_made = pthread_key_create(&made.key, FreeAll) == 0;
    return made;
  }();
  return key.is_made && pthread_setspecific(key.key, &t_first) == 0;
}

Entry* EntryOf(const Store* store) {
  // Acquire, both: pairs with the release stores here, which publish whole entries to a handler.
  for (Entry* entry = t_first.load(std::memory_order_acquire); entry != nullptr;
       entry = entry->next.load(std::memory_order_acquire)) {
    if (entry->store == store) return entry;
  }
  return nullptr;
}

}  // namespace

const vmm_metrics_shard* ThreadShards::Find(const Store* store) {
  const Entry* const entry = EntryOf(store);
  return entry == nullptr ? nullptr : &entry->shard;
}

vmm_metrics_status ThreadShards::Current(Store* store, vmm_metrics_shard* out) {
  const vmm_metrics_abi& abi = store->abi();
  Entry* entry = EntryOf(store);
  if (entry != nullptr && (entry->shard.number != VMM_METRICS_SHARED_SHARD || entry->uses_until_retry-- != 0)) {
    *out = entry->shard;
    return VMM_METRICS_OK;
  }
  abi.shared_shard(store, out);
  if (t_is_ending) return VMM_METRICS_OK;
  if (entry != nullptr) {
    // The entry has the shared shard. Another thread may have given its shard back since then.
    entry->uses_until_retry = kUsesPerRetry;
    if (store->is_closed() || !ForkGeneration::IsOwn(entry->process)) return VMM_METRICS_OK;
    for (std::atomic<Entry*>* link = &t_first;; link = &link->load(std::memory_order_relaxed)->next) {
      if (link->load(std::memory_order_relaxed) != entry) continue;  // this thread stored them
      Free(link);
      break;
    }
  }
  vmm_metrics_shard claimed;
  const vmm_metrics_status status = abi.claim(store, &claimed);
  if (status != VMM_METRICS_OK) return status;
  Entry* const made = FreesAtEnd() ? new (std::nothrow) Entry{store, claimed, ForkGeneration::Own(), kUsesPerRetry} : nullptr;
  if (made == nullptr) {
    abi.give_back(store, &claimed);
    return VMM_METRICS_OK;
  }
  store->Retain();
  made->next.store(t_first.load(std::memory_order_relaxed), std::memory_order_relaxed);  // the store below publishes it
  // Release: pairs with the acquire loads in EntryOf, for a handler on this thread.
  t_first.store(made, std::memory_order_release);
  FreeClosed();
  *out = claimed;
  return VMM_METRICS_OK;
}

}  // namespace vmm

// ThreadShards: the shard of a thread that claims on first use, and gives back when it ends.
//
// VMM_METRICS_SOAK_SECONDS is the duration of the test with short-lived threads (at most 10; default: 10,000 threads).

#include "store/thread_shards.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "attached_store.h"
#include "base/clock.h"
#include "check.h"
#include "soak.h"

namespace vmm {
namespace {

// The shards that are free, by claiming them all.
std::vector<uint32_t> FreeShards(Store* store) {
  std::vector<uint32_t> free;
  for (uint32_t shard = store->ClaimShard(); shard != kSharedShard; shard = store->ClaimShard()) free.push_back(shard);
  for (const uint32_t shard : free) store->GiveBackShard(shard);
  return free;
}

TEST("given a thread, when it asks for its shard again and again, then it is one shard, until the thread ends") {
  Attached attached;
  const vmm_metrics_metric i = attached.Find("g.i", VMM_METRICS_INC);
  std::thread([&] {
    vmm_metrics_shard first, second, in_handler;
    vmm_metrics_handler_shard(&attached.native, &in_handler);
    CHECK_EQ(in_handler.number, VMM_METRICS_SHARED_SHARD);
    CHECK_EQ(vmm_metrics_current(&attached.native, &first), VMM_METRICS_OK);
    CHECK_EQ(vmm_metrics_current(&attached.native, &second), VMM_METRICS_OK);
    vmm_metrics_handler_shard(&attached.native, &in_handler);
    CHECK(first.number != VMM_METRICS_SHARED_SHARD);
    CHECK_EQ(second.number, first.number);
    CHECK_EQ(in_handler.number, first.number);
    vmm_metrics_add(&second, i, 2);
    {
      const vmm_metrics::Shard shard = vmm_metrics::Shard::current(attached.native);
      CHECK_EQ(shard.get().number, first.number);
    }  // gives nothing back
    vmm_metrics_add(&vmm_metrics::Shard::current(attached.native).get(), i, 3);
    CHECK_EQ(FreeShards(attached.store).size(), kShards - 2);
  }).join();
  CHECK_EQ(FreeShards(attached.store).size(), kShards - 1);
  CHECK_EQ(attached.Total("g.i"), 5);
}

TEST("given two stores, when a thread counts in both, then it has a shard in each, and gives both back") {
  Attached one, other("another");
  std::thread([&] {
    for (int round = 0; round < 3; round++) {
      vmm_metrics::IncMetric(one.Find("g.i", VMM_METRICS_INC)).inc(vmm_metrics::Shard::current(one.native));
      vmm_metrics::IncMetric(other.Find("g.i", VMM_METRICS_INC)).add(vmm_metrics::Shard::current(other.native), 10);
    }
    CHECK_EQ(FreeShards(one.store).size(), kShards - 2);
    CHECK_EQ(FreeShards(other.store).size(), kShards - 2);
  }).join();
  CHECK_EQ(one.Total("g.i"), 3);
  CHECK_EQ(other.Total("g.i"), 30);
  CHECK_EQ(FreeShards(one.store).size(), kShards - 1);
  CHECK_EQ(FreeShards(other.store).size(), kShards - 1);
}

TEST("given 10,000 threads that live for one increment, when all have ended, then the count is exact and no shard is lost") {
  Attached attached;
  const vmm_metrics::IncMetric inc(attached.Find("g.i", VMM_METRICS_INC));
  constexpr int kThreads = 10'000, kAtOnce = 20;
  const int64_t end_ms = MonotonicMs() + (SoakNumber("VMM_METRICS_SOAK_SECONDS", 0) == 0 ? 0 : StormMs());
  int begun = 0;
  for (; begun < kThreads || MonotonicMs() < end_ms; begun += kAtOnce) {
    std::vector<std::thread> threads;
    for (int t = 0; t < kAtOnce; t++) {
      threads.emplace_back([&] { inc.inc(vmm_metrics::Shard::current(attached.native)); });
    }
    for (std::thread& thread : threads) thread.join();
  }
  CHECK_EQ(attached.Total("g.i"), begun);
  CHECK(attached.store->cells().shards_used() <= kAtOnce + 1);
  CHECK_EQ(FreeShards(attached.store).size(), kShards - 1);
}

TEST("given every shard taken, when a thread counts, then it shares shard 0, and gets its own when one is free again") {
  Attached attached;
  const vmm_metrics::IncMetric inc(attached.Find("g.i", VMM_METRICS_INC));
  std::vector<uint32_t> taken;
  for (uint32_t shard = attached.store->ClaimShard(); shard != kSharedShard; shard = attached.store->ClaimShard()) {
    taken.push_back(shard);
  }
  std::thread([&] {
    uint64_t added = 0;
    for (; added < 5'000; added++) {
      const vmm_metrics::Shard shard = vmm_metrics::Shard::current(attached.native);
      CHECK(shard.is_shared());
      inc.inc(shard);
    }
    attached.store->GiveBackShard(taken.back());
    bool is_own = false;
    for (int i = 0; i < 5'000; i++, added++) {
      const vmm_metrics::Shard shard = vmm_metrics::Shard::current(attached.native);
      is_own = is_own || shard.get().number == taken.back();
      inc.inc(shard);
    }
    CHECK(is_own);
    CHECK_EQ(attached.Total("g.i"), added);
  }).join();
  CHECK_EQ(attached.store->ClaimShard(), taken.back());
}

// Counts in a destructor of the thread, which may run before or after that of ThreadShards.
struct LateCounter {
  Attached* attached;
  vmm_metrics_metric metric;
  static void Run(void* counter) {
    const LateCounter& late = *static_cast<LateCounter*>(counter);
    vmm_metrics_add(&vmm_metrics::Shard::current(late.attached->native).get(), late.metric, 1);
  }
};

TEST("given destructors of a thread that count, when the thread ends, then they count, and no shard is lost") {
  Attached attached;
  LateCounter late = {&attached, attached.Find("g.i", VMM_METRICS_INC)};
  pthread_key_t keys[4];
  for (pthread_key_t& key : keys) CHECK_EQ(pthread_key_create(&key, LateCounter::Run), 0);
  for (const bool counts_before : {false, true}) {
    std::thread([&] {
      if (counts_before) LateCounter::Run(&late);
      for (const pthread_key_t key : keys) pthread_setspecific(key, &late);
    }).join();
  }
  for (const pthread_key_t key : keys) pthread_key_delete(key);
  CHECK_EQ(attached.Total("g.i"), 9);
  CHECK_EQ(FreeShards(attached.store).size(), kShards - 1);
}

TEST("given a closed store, when its thread goes on, then it keeps its shard; a thread without one gets VMM_METRICS_CLOSED") {
  Attached attached;
  const vmm_metrics_metric i = attached.Find("g.i", VMM_METRICS_INC);
  std::thread([&] {
    vmm_metrics_shard before, after;
    CHECK_EQ(vmm_metrics_current(&attached.native, &before), VMM_METRICS_OK);
    attached.Close();
    CHECK_EQ(vmm_metrics_current(&attached.native, &after), VMM_METRICS_OK);
    CHECK_EQ(after.number, before.number);
    vmm_metrics_add(&after, i, 1);
  }).join();
  std::thread([&] {
    vmm_metrics_shard late;
    CHECK_EQ(vmm_metrics_current(&attached.native, &late), VMM_METRICS_CLOSED);
    CHECK_EQ(late.number, VMM_METRICS_SHARED_SHARD);
    vmm_metrics_add(&late, i, 1);
  }).join();
}

TEST("given a thread that outlives its stores, when they are detached in any order, then it frees each shard without harm") {
  std::thread([] {
    std::unique_ptr<Attached> last;
    for (int life = 0; life < 50; life++) {
      auto attached = std::make_unique<Attached>("life " + std::to_string(life));
      vmm_metrics::IncMetric(attached->Find("g.i", VMM_METRICS_INC)).inc(vmm_metrics::Shard::current(attached->native));
      CHECK_EQ(attached->Total("g.i"), 1);
      if (life % 3 == 0) last = std::move(attached);
    }
  }).join();
}

#ifndef __SANITIZE_THREAD__  // its threads cannot end in a forked child
TEST("given a forked child, when its thread ends, then the child neither waits for a lock nor gives the parent's shards back") {
  Attached attached;
  vmm_metrics_shard shard;
  std::thread([&] {
    CHECK_EQ(vmm_metrics_current(&attached.native, &shard), VMM_METRICS_OK);
    const pid_t child = fork();
    if (child == 0) return;  // ends the only thread, and so the child
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(FreeShards(attached.store).size(), kShards - 2);
  }).join();
  CHECK_EQ(FreeShards(attached.store).size(), kShards - 1);
}
#endif

}  // namespace
}  // namespace vmm

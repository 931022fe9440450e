// Native threads that count while signals interrupt them, and whose handlers count into the same cells of the same
// thread.
//
// VMM_METRICS_SOAK_SECONDS is the duration of each test (default: 1, at most 10).

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <thread>
#include <vector>

#include "attached_store.h"
#include "base/clock.h"
#include "check.h"
#include "soak.h"

namespace vmm {
namespace {

constexpr int kSignal = SIGUSR1;

// What the handler needs. Relaxed, all: the threads are started after the values are set.
std::atomic<const vmm_metrics_store*> g_store{nullptr};
std::atomic<uint64_t> g_inc_offset{0}, g_latency_offset{0};
std::atomic<uint64_t> g_handled{0}, g_sum_us{0}, g_lost_maxima{0};
// The last duration that a handler has observed on this thread.
__attribute__((tls_model("initial-exec"))) thread_local std::atomic<uint64_t> t_last_us{0};

// The largest duration in this shard.
const std::atomic<uint64_t>& MaxIn(const vmm_metrics::Shard& shard) {
  return reinterpret_cast<std::atomic<uint64_t>*>(shard.get().own + g_latency_offset.load(std::memory_order_relaxed))[1];
}

void Handle(int) {
  const vmm_metrics::Shard shard = vmm_metrics::Shard::in_handler(*g_store.load(std::memory_order_relaxed));
  vmm_metrics::IncMetric(vmm_metrics_metric{g_inc_offset.load(std::memory_order_relaxed)}).inc(shard);
  const uint64_t max_us = MaxIn(shard).load(std::memory_order_relaxed);
  const uint64_t us = max_us + 1'000;
  vmm_metrics::LatencyMetric(vmm_metrics_metric{g_latency_offset.load(std::memory_order_relaxed)}).observe(shard, us);
  if (!shard.is_shared()) {
    // A maximum that a handler has set must stay.
    if (max_us < t_last_us.load(std::memory_order_relaxed)) g_lost_maxima.fetch_add(1, std::memory_order_relaxed);
    t_last_us.store(us, std::memory_order_relaxed);
  }
  g_sum_us.fetch_add(us, std::memory_order_relaxed);
  g_handled.fetch_add(1, std::memory_order_relaxed);
}

uint64_t Handled() { return g_handled.load(std::memory_order_relaxed); }

// Installs the handler for the life of this object.
class Storm {
 public:
  explicit Storm(Attached& attached)
      : inc(attached.Find("g.i", VMM_METRICS_INC)), latency(attached.Find("g.l", VMM_METRICS_LATENCY)) {
    g_store.store(&attached.native, std::memory_order_relaxed);
    g_inc_offset.store(inc.offset, std::memory_order_relaxed);
    g_latency_offset.store(latency.offset, std::memory_order_relaxed);
    g_handled.store(0, std::memory_order_relaxed);
    g_sum_us.store(0, std::memory_order_relaxed);
    g_lost_maxima.store(0, std::memory_order_relaxed);
    struct sigaction action = {};
    action.sa_handler = Handle;
    action.sa_flags = SA_RESTART;
    sigaction(kSignal, &action, &before_);
  }
  ~Storm() { sigaction(kSignal, &before_, nullptr); }

  // The storm ends after the given time, but not before some signals have arrived.
  bool GoesOn() const { return MonotonicMs() < end_ms_ || Handled() < 200; }

  const vmm_metrics_metric inc, latency;

 private:
  const int64_t end_ms_ = MonotonicMs() + StormMs();
  struct sigaction before_;
};

TEST("given a thread that counts, when signals interrupt it all the time and their handlers count too, then each add counts") {
  Attached attached;
  const Storm storm(attached);
  const uint32_t cell = CellOf(attached.store->spec(), "g.l");
  std::atomic<bool> has_begun{false}, is_over{false};
  uint64_t added = 0, sum_us = 0;
  std::thread writer([&] {
    const vmm_metrics::Shard shard = vmm_metrics::Shard::current(attached.native);
    CHECK(!shard.is_shared());
    const vmm_metrics::IncMetric inc(storm.inc);
    const vmm_metrics::LatencyMetric latency(storm.latency);
    // The smallest duration, before any handler observes a larger one.
    inc.inc(shard);
    latency.observe(shard, 1);
    added++;
    sum_us++;
    has_begun.store(true, std::memory_order_relaxed);
    while (!is_over.load(std::memory_order_relaxed)) {
      for (int i = 0; i < 1'000; i++, added++) {
        inc.inc(shard);
        const uint64_t us = MaxIn(shard).load(std::memory_order_relaxed) + 1;
        latency.observe(shard, us);
        sum_us += us;
      }
    }
  });
  while (!has_begun.load(std::memory_order_relaxed)) std::this_thread::yield();
  while (storm.GoesOn()) {
    pthread_kill(writer.native_handle(), kSignal);
    std::this_thread::yield();
  }
  is_over.store(true, std::memory_order_relaxed);
  writer.join();
  CHECK_EQ(attached.Total("g.i"), added + Handled());
  CHECK_EQ(g_lost_maxima.load(std::memory_order_relaxed), 0);
  CHECK_EQ(MinimumOf(attached.store->cells().Total(cell), attached.store->cells().Total(cell + 1)), 1);
  CHECK_EQ(attached.store->cells().Total(cell + 2), sum_us + g_sum_us.load(std::memory_order_relaxed));
  CHECK_EQ(attached.store->cells().Total(cell + 3), added + Handled());
}

TEST(
    "given 16 native threads and 4 that count as JavaScript does, when signals hit all of them and the store is flushed, then "
    "each add counts") {
  Attached attached;
  const Storm storm(attached);
  const vmm_metrics::IncMetric inc(storm.inc);
  const uint32_t cell = CellOf(attached.store->spec(), "g.i");
  std::atomic<bool> is_over{false};
  std::atomic<uint64_t> added{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; t++) {
    threads.emplace_back([&, t] {
      uint64_t mine = 0;
      while (!is_over.load(std::memory_order_relaxed)) {
        // Each way in which a native thread may count.
        const vmm_metrics::Shard shard =
            t < 8 ? vmm_metrics::Shard::current(attached.native) : vmm_metrics::Shard(attached.native);
        vmm_metrics_shard shared;
        vmm_metrics_shared_shard(&attached.native, &shared);
        for (int i = 0; i < 1'000; i++, mine++) {
          if (t % 8 == 7) {
            vmm_metrics_add(&shared, storm.inc, 1);
          } else {
            inc.inc(shard);
          }
        }
      }
      added.fetch_add(mine, std::memory_order_relaxed);
    });
  }
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&] {
      const uint32_t shard = attached.store->ClaimShard();
      uint64_t mine = 0;
      while (!is_over.load(std::memory_order_relaxed)) {
        Cell& own = attached.store->cells().region().InShard(shard, cell);
        Set(own, Read(own) + 1);  // a plain add: handlers on this thread use another shard
        mine++;
      }
      attached.store->GiveBackShard(shard);
      added.fetch_add(mine, std::memory_order_relaxed);
    });
  }
  uint64_t last = 0;
  while (storm.GoesOn()) {
    for (std::thread& thread : threads) pthread_kill(thread.native_handle(), kSignal);
    const uint64_t now = attached.Total("g.i");
    CHECK(now >= last);
    last = now;
  }
  is_over.store(true, std::memory_order_relaxed);
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(attached.Total("g.i"), added.load(std::memory_order_relaxed) + Handled());
}

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
// The processor raises SIGTRAP after each instruction while the trap flag is set.
__attribute__((always_inline)) inline void SetTrapFlag() {
  __asm__ volatile("sub $128, %%rsp; pushfq; orq $0x100, (%%rsp); popfq; add $128, %%rsp" ::: "memory", "cc");
}
__attribute__((always_inline)) inline void ClearTrapFlag() {
  __asm__ volatile("sub $128, %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; add $128, %%rsp" ::: "memory", "cc");
}

TEST("given a signal after each single instruction of an add and of an observe, when handlers do the same, then each counts") {
  Attached attached;
  const Storm storm(attached);
  const uint32_t cell = CellOf(attached.store->spec(), "g.l");
  struct sigaction action = {}, before;
  action.sa_handler = Handle;
  sigaction(SIGTRAP, &action, &before);
  std::thread([&] {
    const vmm_metrics::Shard shard = vmm_metrics::Shard::current(attached.native);
    const vmm_metrics::IncMetric inc(storm.inc);
    const vmm_metrics::LatencyMetric latency(storm.latency);
    uint64_t sum_us = 0;
    constexpr uint64_t kRounds = 40;
    for (uint64_t round = 0; round < kRounds; round++) {
      // Each handler raises the maximum by 1,000. So in some round this duration is the largest when observe() looks at
      // the maximum, and no longer one instruction later.
      const uint64_t us = MaxIn(shard).load(std::memory_order_relaxed) + 500 + 1'000 * round;
      SetTrapFlag();
      inc.inc(shard);
      latency.observe(shard, us);
      ClearTrapFlag();
      sum_us += us;
    }
    CHECK_EQ(g_lost_maxima.load(std::memory_order_relaxed), 0);
    CHECK(Handled() > kRounds * 8);
    CHECK_EQ(attached.Total("g.i"), kRounds + Handled());
    CHECK_EQ(attached.store->cells().Total(cell + 2), sum_us + g_sum_us.load(std::memory_order_relaxed));
    CHECK_EQ(attached.store->cells().Total(cell + 3), kRounds + Handled());
  }).join();
  sigaction(SIGTRAP, &before, nullptr);
}
#endif

}  // namespace
}  // namespace vmm

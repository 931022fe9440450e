// Histograms and latencies with hidden buckets: threads, signal handlers and devices observe through the public header,
// while lines are flushed.
//
// Invariant: for each bucket, the deltas in all lines and the pending count add up to what was observed. The sum of the
// buckets is the count.

#include <signal.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "attached_store.h"
#include "base/clock.h"
#include "check.h"
#include "crash_scene.h"
#include "line_reader.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

using vmm_metrics::HistogramMetric;
using vmm_metrics::Shard;
using Counts = std::vector<uint64_t>;

constexpr uint32_t kDisk = 0;  // the group of devices

StoreSpec Distributions() {
  return SchemaBuilder()
      .Group("g", {Distribution("h"), HiddenDistribution("l"), Inc("i")})
      .PerDevice("disk", {Distribution("h"), HiddenDistribution("l")})
      .Build("distributions");
}

struct Observed : Attached {
  Observed() : Attached(Distributions()) { Init(); }
  explicit Observed(StoreSpec&& spec) : Attached(std::move(spec)) { Init(); }
  void Init() {
    Status status;
    CHECK_EQ(store->flusher().Init((folder / "f").c_str(), -1, &status), InitResult::kDone);
  }
  void Flush() {
    Status status;
    CHECK_EQ(store->Flush(&status), FlushResult::kOut);
  }
  HistogramMetric Histogram(const char* path) {
    HistogramMetric found;
    CHECK_EQ(vmm_metrics::find(native, path, &found), "");
    return found;
  }
  // The totals of the buckets whose first one is that cell.
  Counts Totals(uint32_t first_bucket) {
    Counts counts;
    for (uint32_t i = 0; i < kBucketCount; i++) counts.push_back(store->cells().Total(first_bucket + i));
    return counts;
  }
  Counts TotalsAt(const std::string& path) { return Totals(CellOf(store->spec(), path) + kFirstBucket); }

  TemporaryFolder folder;
};

uint64_t SumOf(const Counts& counts) {
  uint64_t sum = 0;
  for (const uint64_t count : counts) sum += count;
  return sum;
}

// The deltas of all lines.
Counts InLines(const Lines& lines, const std::string& path) {
  Counts counts(kBucketCount);
  for (const Values& line : lines.values) {
    if (line.count(path + ".count") == 0) continue;
    uint64_t count = line.at(path + ".zero_count");
    counts[0] += count;
    const auto begin = static_cast<uint32_t>(static_cast<int64_t>(line.at(path + ".offset")) - kFirstEdge + 1);
    for (uint32_t i = 0;; i++) {
      const auto found = line.find(path + ".bucket_counts[" + std::to_string(i) + "]");
      if (found == line.end()) break;
      if (!CHECK(begin + i < kBucketCount)) return counts;
      counts[begin + i] += found->second;
      count += found->second;
    }
    CHECK_EQ(line.at(path + ".count"), count);
  }
  return counts;
}

TEST("given values on each edge and beside it, when the header finds their buckets, then they are those of a search") {
  const BucketTable table = TimeBuckets();
  for (uint32_t bucket = 0; bucket < kBucketCount; bucket++) {
    for (int by = -2; by <= 2; by++) {
      const uint64_t ns = UpperEdge(bucket) + static_cast<uint64_t>(by);
      if (!CHECK_EQ(vmm_metrics_bucket_of(&table.buckets, ns), SearchedBucket(ns))) return;
    }
  }
  for (const uint64_t ns : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 44, ~uint64_t{0}, ~uint64_t{0} - 1}) {
    CHECK_EQ(vmm_metrics_bucket_of(&table.buckets, ns), SearchedBucket(ns));
  }
}

TEST("given threads that observe in all ways while lines are flushed, when they end, then each bucket is exact") {
  Observed scene;
  const HistogramMetric h = scene.Histogram("g.h"), l = scene.Histogram("g.l");
  constexpr uint64_t kEach = 60'000;
  constexpr int kOwn = 4, kShared = 2;
  std::vector<Counts> expected(kOwn + kShared, Counts(kBucketCount));
  std::atomic<uint64_t> sum{0};
  std::atomic<int> running{kOwn + kShared};
  std::vector<std::thread> threads;
  for (int t = 0; t < kOwn + kShared; t++) {
    threads.emplace_back([&, t] {
      Shard shard;
      if (t < kOwn) {
        shard = Shard(scene.native);
        CHECK(!shard.is_shared());
      }
      vmm_metrics_shard shared;
      vmm_metrics_shared_shard(&scene.native, &shared);
      vmm_metrics_histogram in_c;
      CHECK_EQ(vmm_metrics_find_histogram(&scene.native, nullptr, "g.h", &in_c), VMM_METRICS_OK);
      std::mt19937_64 random(static_cast<uint64_t>(t));
      for (uint64_t i = 0; i < kEach; i++) {
        const uint64_t us = random() >> (40 + random() % 24);
        expected[static_cast<size_t>(t)][SearchedBucket(us * 1000)]++;
        sum += us;
        if (t < kOwn) {
          h.observe(shard, us);
          l.observe(shard, us);
        } else {
          vmm_metrics_histogram_observe(&shared, in_c, us);
        }
      }
      running--;
    });
  }
  while (running != 0) scene.Flush();
  for (std::thread& thread : threads) thread.join();
  Counts all(kBucketCount), own(kBucketCount);
  for (int t = 0; t < kOwn + kShared; t++) {
    for (uint32_t i = 0; i < kBucketCount; i++) {
      all[i] += expected[static_cast<size_t>(t)][i];
      if (t < kOwn) own[i] += expected[static_cast<size_t>(t)][i];
    }
  }
  CHECK(scene.TotalsAt("g.h") == all);
  CHECK(scene.TotalsAt("g.l") == own);
  CHECK_EQ(scene.store->cells().Total(CellOf(scene.store->spec(), "g.l") + 3), kOwn * kEach);
  scene.Flush();
  const Lines lines(TextOf(scene.folder / "f"));
  CHECK_EQ(lines.broken, 0);
  CHECK(InLines(lines, "g.h") == all);
  CHECK_EQ(lines.Sum("g.h.sum"), sum.load());
  CHECK_EQ(lines.values.back().count("g.l.count"), 0);  // hidden
}

TEST("given times in nanoseconds, when they are observed, then the buckets have the nanoseconds, and a line has all of them") {
  Observed scene;
  const HistogramMetric h = scene.Histogram("g.h");
  const Shard own(scene.native);
  Counts expected(kBucketCount);
  // The extremes are whole microseconds. The buckets of the fractions are outside of those of the extremes.
  for (const uint64_t ns : {1'999u, 1'001u, 250u, 8'999u}) {
    h.observe_ns(own, ns);
    expected[SearchedBucket(ns)]++;
    scene.Flush();
    CHECK(InLines(Lines(TextOf(scene.folder / "f")), "g.h") == expected);
  }
}

TEST("given a shard or a histogram that is empty, when values are observed, then nothing is counted") {
  Observed scene;
  const Shard empty, own(scene.native);
  scene.Histogram("g.h").observe(empty, 5);
  scene.Histogram("g.h").observe_ns(empty, 5);
  HistogramMetric().observe(own, 5);
  HistogramMetric().observe_ns(own, 5);
  vmm_metrics_histogram found;
  CHECK_EQ(vmm_metrics_find_histogram(&scene.native, nullptr, "g.i", &found), VMM_METRICS_OTHER_KIND);
  CHECK_EQ(vmm_metrics_find_histogram(&scene.native, nullptr, "g.x", &found), VMM_METRICS_UNKNOWN_NAME);
  CHECK_EQ(SumOf(scene.TotalsAt("g.h")), 0);
}

TEST("given more threads than shards, when all of them observe, then those without a shard lose nothing") {
  Observed scene;
  const HistogramMetric h = scene.Histogram("g.h");
  std::vector<Shard> taken;
  while (taken.empty() || !taken.back().is_shared()) taken.emplace_back(scene.native);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      const Shard shard(scene.native);
      CHECK(shard.is_shared());
      for (uint64_t i = 0; i < 20'000; i++) h.observe(shard, i % 100 + static_cast<uint64_t>(t));
    });
  }
  for (uint64_t i = 0; i < 1'000; i++) h.observe(taken[0], i);
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(SumOf(scene.TotalsAt("g.h")), 81'000);
  scene.Flush();
  CHECK_EQ(SumOf(InLines(Lines(TextOf(scene.folder / "f")), "g.h")), 81'000);
}

const Observed* g_interrupted = nullptr;
vmm_metrics_histogram g_histogram;
std::atomic<uint64_t> g_from_handler{0};

void ObserveInHandler(int) {
  vmm_metrics_shard shard;
  vmm_metrics_handler_shard(&g_interrupted->native, &shard);
  vmm_metrics_histogram_observe(&shard, g_histogram, 7);
  g_from_handler++;
}

TEST("given a signal handler that observes, when it interrupts a thread that observes, then no value is lost") {
  // With a claimed shard, the handler uses the shared shard; with the thread's current shard, it uses that one.
  for (const bool is_current : {false, true}) {
    Observed scene;
    g_interrupted = &scene;
    g_from_handler = 0;
    CHECK_EQ(vmm_metrics_find_histogram(&scene.native, nullptr, "g.h", &g_histogram), VMM_METRICS_OK);
    const HistogramMetric h(g_histogram);
    signal(SIGUSR2, ObserveInHandler);
    std::atomic<bool> ended{false};
    uint64_t counted = 0;
    std::thread observer([&] {
      const Shard shard = is_current ? Shard::current(scene.native) : Shard(scene.native);
      CHECK(!shard.is_shared());
      while (g_from_handler < 2'000) {
        for (int i = 0; i < 100; i++) h.observe(shard, 7);
        counted += 100;
      }
      ended = true;
    });
    const pthread_t thread = observer.native_handle();
    while (!ended) {
      if (g_from_handler < 2'000) pthread_kill(thread, SIGUSR2);
      scene.Flush();
    }
    observer.join();
    signal(SIGUSR2, SIG_DFL);
    const Counts totals = scene.TotalsAt("g.h");
    CHECK_EQ(totals[SearchedBucket(7'000)], counted + g_from_handler);
    CHECK_EQ(SumOf(totals), counted + g_from_handler);
    CHECK_EQ(scene.store->cells().Total(CellOf(scene.store->spec(), "g.h") + 3), counted + g_from_handler);
    scene.Flush();
    CHECK(InLines(Lines(TextOf(scene.folder / "f")), "g.h") == totals);
  }
}

TEST("given devices with histograms that come and go, when lines are flushed, then the aggregate is their exact sum") {
  Observed scene;
  std::mt19937_64 random(3);
  const std::vector<Shard> shards = [&] {
    std::vector<Shard> made;
    for (int i = 0; i < 3; i++) made.emplace_back(scene.native);
    return made;
  }();
  Counts expected(kBucketCount), hidden(kBucketCount);
  for (int round = 0; round < 60; round++) {
    const std::string id = "d" + std::to_string(round % 25);
    vmm_metrics_device device;
    CHECK_EQ(vmm_metrics_alloc_device(&scene.native, "disk", id.c_str(), id.size(), &device), VMM_METRICS_OK);
    HistogramMetric h, l;
    CHECK_EQ(vmm_metrics::find_in_device(scene.native, device, "h", &h), "");
    CHECK_EQ(vmm_metrics::find_in_device(scene.native, device, "l", &l), "");
    for (int i = 0; i < 200; i++) {
      const uint64_t us = random() >> (40 + random() % 24);
      h.observe(shards[random() % 3], us);
      l.observe(shards[random() % 3], us);
      expected[SearchedBucket(us * 1000)]++;
      hidden[SearchedBucket(us * 1000)]++;
    }
    if (round % 3 == 0) scene.Flush();
    CHECK_EQ(vmm_metrics_release_device(&scene.native, device), VMM_METRICS_OK);
    if (round % 2 == 0) CHECK_EQ(vmm_metrics_remove_device(&scene.native, "disk", id.c_str(), id.size()), VMM_METRICS_OK);
    if (round % 5 == 0) scene.Flush();
  }
  scene.Flush();
  const Lines lines(TextOf(scene.folder / "f"));
  CHECK_EQ(lines.broken, 0);
  CHECK(InLines(lines, "disk.h") == expected);

  // Hidden buckets: those of the living devices, and of the removed ones.
  const Store::Snapshot snapshot = scene.store->TakeSnapshot();
  const size_t cells = scene.store->spec().group_kinds[kDisk].size();
  const size_t gone = scene.store->spec().kinds.size();
  Counts found(kBucketCount);
  for (size_t device = 0; device <= snapshot.ids[kDisk].size(); device++) {
    for (uint32_t i = 0; i < kBucketCount; i++) {
      found[i] += snapshot.totals[gone + device * cells + CellOf(scene.store->spec(), kDisk, "l") + kFirstBucket + i];
    }
  }
  CHECK(found == hidden);
}

TEST("given many devices with histograms in many shards, when they leave at once, then they are retired in small parts") {
  Observed scene;
  std::vector<Shard> shards;
  for (int i = 0; i < 40; i++) shards.emplace_back(scene.native);
  constexpr int kDevices = 150;
  for (int i = 0; i < kDevices; i++) {
    const std::string id = "d" + std::to_string(i);
    vmm_metrics_device device;
    CHECK_EQ(vmm_metrics_alloc_device(&scene.native, "disk", id.c_str(), id.size(), &device), VMM_METRICS_OK);
    HistogramMetric h;
    CHECK_EQ(vmm_metrics::find_in_device(scene.native, device, "h", &h), "");
    h.observe(shards[static_cast<size_t>(i) % shards.size()], 5);
    CHECK_EQ(vmm_metrics_release_device(&scene.native, device), VMM_METRICS_OK);
  }
  scene.Flush();
  for (int i = 0; i < kDevices; i++) {
    const std::string id = "d" + std::to_string(i);
    CHECK_EQ(vmm_metrics_remove_device(&scene.native, "disk", id.c_str(), id.size()), VMM_METRICS_OK);
  }
  const auto epoch = [&] { return scene.store->cells().region().header().retired_epoch.load(); };
  const uint64_t before = epoch();
  scene.Flush();
  const uint64_t words = scene.store->spec().group_kinds[kDisk].size() * (scene.store->cells().shards_used() + kBanks);
  const uint64_t retired = kDevices - Leaving::kLingering;
  CHECK((epoch() - before) * Store::kRetiredWordsAtOnce >= retired * words);
  CHECK(retired * words > 3 * Store::kRetiredWordsAtOnce);
  scene.Flush();
  CHECK_EQ(SumOf(InLines(Lines(TextOf(scene.folder / "f")), "disk.h")), kDevices);
}

TEST("given values that no line has, when the process crashes while another thread observes, then the last line has them") {
  Observed scene;
  const HistogramMetric h = scene.Histogram("g.h");
  const Death death = InChild([&] {
    CHECK(scene.store->CaptureSignals({}).ok());
    std::atomic<uint64_t> count{0};
    std::thread observer([&] {
      const Shard shard(scene.native);
      for (uint64_t i = 0;; i++) {
        h.observe(shard, i % 1'000);
        count.store(i + 1, std::memory_order_relaxed);
      }
    });
    while (count.load(std::memory_order_relaxed) < 10'000) {
    }
    Fault();
  });
  CHECK_EQ(death.signal, SIGSEGV);
  const Lines lines(TextOf(scene.folder / "f"));
  CHECK_EQ(lines.broken, 0);
  if (!CHECK_EQ(lines.count(), 1)) return;
  const Counts counts = InLines(lines, "g.h");
  CHECK(SumOf(counts) >= 10'000);
  CHECK_EQ(counts[SearchedBucket(999'000)] != 0, true);
}

}  // namespace
}  // namespace vmm

// Everything at the same time: threads add in their own shards and in the shared shard, stores flush, devices come and
// go, and sinks fail.
//
// Invariant: no increment is lost or counted twice. For each inc metric, the deltas in all lines and the pending count
// add up to the total, and the total equals what the threads added. A removed device counts in its group's aggregate.
//
// Threads add with include/vmm_metrics.h: in a shard of their own by a relaxed load and store, in shard 0 by a
// fetch_add.

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "check.h"
#include "child.h"
#include "line_reader.h"
#include "schema_builder.h"
#include "store/store.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

constexpr uint64_t kAdds = 400'000;
// With this number of adds, two threads meet even on a machine where they seldom run at the same time.
constexpr uint64_t kSharedAdds = 2'000'000;
constexpr uint32_t kBlock = 0;  // the group of devices

StoreSpec Schema(bool wide = false) {
  const std::vector<Field> fields = {Inc("own"), Inc("shared"), Gauge("state"), Latency("run")};
  return SchemaBuilder()
      .Timestamp("utc_timestamp_ms")
      .Group("g", wide ? WithManyMore(fields) : fields)
      .PerDevice("block", {Inc("reads"), Latency("io")})
      .Group("logger", {Inc("missed")})
      .OnMissedFlush("logger.missed")
      .Build("concurrency");
}

class Scene {
 public:
  explicit Scene(bool wide = false) {
    OpenConflict conflict;
    CHECK(Store::Open(Schema(wide), &store, &conflict).ok());
    native.abi = &store->abi();
  }
  void Init(const std::string& sink) {
    Status status;
    CHECK_EQ(store->flusher().Init((folder / sink).c_str(), -1, &status), InitResult::kDone);
  }
  ~Scene() { store->Detach(false); }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  vmm_metrics_metric Metric(const char* path, vmm_metrics_kind kind = VMM_METRICS_INC) {
    vmm_metrics_metric metric = {};
    CHECK_EQ(vmm_metrics_find(&native, path, kind, &metric), VMM_METRICS_OK);
    return metric;
  }
  vmm_metrics_metric InDevice(const std::string& id, const char* field, vmm_metrics_kind kind) {
    vmm_metrics_device device = {};
    vmm_metrics_metric metric = {};
    CHECK_EQ(vmm_metrics_alloc_device(&native, "block", id.data(), id.size(), &device), VMM_METRICS_OK);
    CHECK_EQ(vmm_metrics_find_in_device(&native, device, field, kind, &metric), VMM_METRICS_OK);
    return metric;
  }
  FlushResult Flush() {
    Status status;
    return store->flusher().Flush(&status);
  }

  uint64_t commits() { return LinesOf(store->cells().region().header().commit.load(std::memory_order_relaxed)); }

  // The threads all begin at Join. Join waits for the workers, and then ends the helpers.
  void Start(std::function<void()> work) {
    workers_.emplace_back([this, work = std::move(work)] {
      AwaitBegin();
      work();
    });
  }
  void StartUntilDone(std::function<void()> step) {
    helpers_.emplace_back([this, step = std::move(step)] {
      AwaitBegin();
      while (!done_.load(std::memory_order_acquire)) step();
    });
  }
  // Threads with shards of their own, each of which adds 1 to g.own `adds` times.
  void StartOwners(int threads, uint64_t adds) {
    const vmm_metrics_metric own = Metric("g.own");
    for (int t = 0; t < threads; t++) {
      Start([this, own, adds] {
        vmm_metrics::Shard shard(native);
        for (uint64_t i = 0; i < adds; i++) vmm_metrics_add(&shard.get(), own, 1);
      });
    }
  }
  void Join() {
    begun_.store(true, std::memory_order_release);
    for (std::thread& thread : workers_) thread.join();
    done_.store(true, std::memory_order_release);
    for (std::thread& thread : helpers_) thread.join();
  }

  // Checks the invariant for the lines so far.
  void CheckExact(const Lines& lines, const std::string& path, uint64_t added) {
    const uint32_t cell = CellOf(store->spec(), path);
    CHECK_EQ(store->cells().Total(cell), added);
    CHECK_EQ(lines.Sum(path) + store->cells().Pending(cell), added);
  }
  void CheckExactInDevices(const Lines& lines, const std::string& field, uint32_t part, uint64_t added) {
    uint64_t total = 0, pending = 0;
    const DeviceList& list = *store->device_lists().of_groups;
    for (const Device* device = FirstOf(list); device != nullptr; device = After(*device)) {
      const uint32_t cell = device->first_cell + part;
      total += store->cells().Total(cell);
      pending += store->cells().Pending(cell);
    }
    CHECK_EQ(total, added);
    CHECK_EQ(lines.Sum("block." + field) + pending, added);
  }

  TemporaryFolder folder;
  Store* store = nullptr;
  vmm_metrics_store native = {};

 private:
  void AwaitBegin() {
    while (!begun_.load(std::memory_order_acquire)) std::this_thread::yield();
  }

  std::vector<std::thread> workers_, helpers_;
  std::atomic<bool> begun_{false}, done_{false};
};

// A file "f" that one thread renames to "f.0", "f.1" and so on.
class Files {
 public:
  explicit Files(const TemporaryFolder& folder) : folder_(folder) {}
  void Rename() {
    const std::string old = folder_ / ("f." + std::to_string(renamed_));
    if (rename((folder_ / "f").c_str(), old.c_str()) == 0) renamed_++;
  }
  int renamed() const { return renamed_; }
  // The text of all files, in the order in which they were written.
  std::string Text() const {
    std::string text;
    for (int i = 0; i < renamed_; i++) text += TextOf(folder_ / ("f." + std::to_string(i)));
    return text + TextOf(folder_ / "f");
  }

 private:
  const TemporaryFolder& folder_;
  int renamed_ = 0;
};

// The sum of the reads of the devices in a line.
uint64_t SumOfShown(const Values& line) {
  uint64_t sum = 0;
  for (const auto& [path, value] : line) {
    if (path.rfind("block_", 0) == 0 && path.find(".reads") != std::string::npos) sum += value;
  }
  return sum;
}

// The work of a thread with its own shard.
void AddAsOwner(Scene& scene, uint64_t thread) {
  const vmm_metrics_metric own = scene.Metric("g.own"), run = scene.Metric("g.run", VMM_METRICS_LATENCY);
  const vmm_metrics_metric state = scene.Metric("g.state", VMM_METRICS_STORE);
  vmm_metrics::Shard shard(scene.native);
  CHECK(shard.get().number != VMM_METRICS_SHARED_SHARD);
  for (uint64_t i = 0; i < kAdds; i++) {
    vmm_metrics_add(&shard.get(), own, 1);
    vmm_metrics_observe(&shard.get(), run, 5 + (i * 7 + thread) % 100);
    vmm_metrics_set(&shard.get(), state, thread + 1);
  }
}

// The work of a thread without a shard.
void AddAsSharer(Scene& scene) {
  const vmm_metrics_metric shared = scene.Metric("g.shared"), run = scene.Metric("g.run", VMM_METRICS_LATENCY);
  vmm_metrics_shard shard;
  vmm_metrics_shared_shard(&scene.native, &shard);
  for (uint64_t i = 0; i < kSharedAdds; i++) {
    vmm_metrics_add(&shard, shared, 3);
    if (i % 4 == 0) vmm_metrics_observe(&shard, run, 5 + i % 100);
  }
}

// The work of a thread that makes devices, counts in them, and removes every third device.
void AddInDevices(Scene& scene, uint64_t thread, std::atomic<uint64_t>& reads, std::atomic<uint64_t>& io_us) {
  vmm_metrics::Shard shard(scene.native);
  std::vector<vmm_metrics_metric> stale;
  for (int i = 0; i < 150; i++) {
    const std::string id = "drive" + std::to_string(thread) + std::to_string(i % 10);
    const vmm_metrics_metric device = scene.InDevice(id, "reads", VMM_METRICS_INC);
    const vmm_metrics_metric io = scene.InDevice(id, "io", VMM_METRICS_LATENCY);
    for (int n = 0; n < 20; n++) {
      vmm_metrics_add(&shard.get(), device, 1);
      vmm_metrics_observe(&shard.get(), io, 4);
      reads++;
      io_us += 4;
    }
    if (i % 3 == 0) CHECK(scene.store->RemoveDevice(kBlock, id));
    stale.push_back(device);
    for (size_t k = 0; k < stale.size(); k += 13) {  // some of these devices were removed
      vmm_metrics_add(&shard.get(), stale[k], 1);
      reads++;
    }
  }
}

TEST(
    "given writers, flushes, readers and devices that come and go, when all run at once, then every add is in one line or "
    "pending") {
  Scene scene;
  scene.Init("f");
  constexpr uint64_t kOwners = 3, kSharers = 2, kDeviceWriters = 2;
  std::atomic<uint64_t> reads{0}, io_us{0};
  for (uint64_t t = 0; t < kOwners; t++) scene.Start([&, t] { AddAsOwner(scene, t); });
  for (uint64_t t = 0; t < kSharers; t++) scene.Start([&] { AddAsSharer(scene); });
  for (uint64_t t = 0; t < kDeviceWriters; t++) scene.Start([&, t] { AddInDevices(scene, t, reads, io_us); });
  scene.StartUntilDone([&] { CHECK_EQ(scene.Flush(), FlushResult::kOut); });
  uint64_t most = 0;
  scene.StartUntilDone([&] {
    const Cells& cells = scene.store->cells();
    const uint32_t cell = CellOf(scene.store->spec(), "g.own");
    const uint64_t pending = cells.Pending(cell);
    const uint64_t total = cells.Total(cell);
    CHECK(pending <= total);
    CHECK(total >= most);  // no reader sees a counter go down
    most = total;
    scene.store->flusher().HasUnflushed();
  });
  scene.Join();

  const auto check = [&](const Lines& lines) {
    CHECK_EQ(lines.broken, 0);
    CHECK_EQ(lines.tail, "");
    scene.CheckExact(lines, "g.own", kOwners * kAdds);
    scene.CheckExact(lines, "g.shared", kSharers * kSharedAdds * 3);
    scene.CheckExact(lines, "logger.missed", 0);
    scene.CheckExactInDevices(lines, "reads", CellOf(scene.store->spec(), kBlock, "reads"), reads);
    scene.CheckExactInDevices(lines, "io.sum_us", CellOf(scene.store->spec(), kBlock, "io") + 2, io_us);
    // The aggregate also has the counts of removed devices, so it is at least the sum of the devices in the line.
    for (const Values& line : lines.values) CHECK(line.at("block.reads") >= SumOfShown(line));
  };
  check(Lines(TextOf(scene.folder / "f")));
  CHECK_EQ(scene.Flush(), FlushResult::kOut);
  const Lines all(TextOf(scene.folder / "f"));
  check(all);
  CHECK_EQ(all.Sum("g.own"), kOwners * kAdds);
  CHECK_EQ(all.Sum("block.reads"), reads.load());
  const Values& last = all.values.back();
  CHECK(last.at("g.state") >= 1 && last.at("g.state") <= kOwners);
  CHECK_EQ(last.at("g.run.min_us"), 5);
  CHECK_EQ(last.at("g.run.max_us"), 104);
  // Each owner observes whole rounds of the values 5 to 104 us. Each sharer observes every fourth of these values.
  CHECK_EQ(all.Sum("g.run.sum_us"), kOwners * (kAdds / 100) * 5450 + kSharers * (kSharedAdds / 100) * 1325);
}

vmm_metrics_shard g_handlers_shard;
vmm_metrics_metric g_handlers_metric;
std::atomic<uint64_t> g_handled{0};

TEST("given a thread that is interrupted at any moment, when the handler adds in the shared shard, then no add is lost") {
  Scene scene;
  scene.Init("f");
  vmm_metrics_shared_shard(&scene.native, &g_handlers_shard);
  g_handlers_metric = scene.Metric("g.shared");
  signal(SIGUSR1, [](int) {
    vmm_metrics_add(&g_handlers_shard, g_handlers_metric, 1);
    g_handled.fetch_add(1, std::memory_order_relaxed);
  });
  std::atomic<pthread_t> interrupted{};
  std::atomic<bool> ready{false}, enough{false};
  uint64_t shared = 0, own = 0;
  scene.Start([&] {
    vmm_metrics::Shard shard(scene.native);
    interrupted = pthread_self();
    ready = true;
    for (; !enough; own++) {
      vmm_metrics_add(&shard.get(), g_handlers_metric, 1);  // in its own shard; next in the handler's shard
      for (int i = 0; i < 50; i++, shared++) vmm_metrics_add(&g_handlers_shard, g_handlers_metric, 1);
    }
  });
  scene.Start([&] {
    while (!ready) std::this_thread::yield();
    for (int i = 0; i < 20'000; i++) pthread_kill(interrupted, SIGUSR1);
    enough = true;
  });
  scene.Join();
  signal(SIGUSR1, SIG_DFL);
  CHECK(g_handled > 0);
  CHECK_EQ(scene.Flush(), FlushResult::kOut);
  scene.CheckExact(Lines(TextOf(scene.folder / "f")), "g.shared", shared + own + g_handled);
}

TEST(
    "given devices that are only added, when threads write to them during flushes, then they add up to their aggregate in each "
    "line") {
  Scene scene;
  scene.Init("f");
  for (uint64_t t = 0; t < 3; t++) {
    scene.Start([&, t] {
      vmm_metrics::Shard shard(scene.native);
      std::vector<vmm_metrics_metric> mine;
      for (int i = 0; i < 60; i++) {
        mine.push_back(scene.InDevice(std::to_string((i * 37) % 100) + "-" + std::to_string(t), "reads", VMM_METRICS_INC));
        for (int n = 0; n < 40; n++) {
          for (const vmm_metrics_metric& device : mine) vmm_metrics_add(&shard.get(), device, 1);
        }
      }
    });
  }
  scene.StartUntilDone([&] { CHECK_EQ(scene.Flush(), FlushResult::kOut); });
  scene.Join();
  CHECK_EQ(scene.Flush(), FlushResult::kOut);
  const Lines lines(TextOf(scene.folder / "f"));
  CHECK_EQ(lines.broken, 0);
  for (const Values& line : lines.values) CHECK_EQ(line.at("block.reads"), SumOfShown(line));
  scene.CheckExactInDevices(lines, "reads", 0, 3 * 40 * 60 * 61 / 2);
}

TEST("given a shard that threads claim one after the other, when each adds to it, then no add is lost") {
  Scene scene;
  scene.Init("f");
  const vmm_metrics_metric own = scene.Metric("g.own");
  constexpr int kThreads = 6, kClaims = 300, kAddsEach = 50;
  for (int t = 0; t < kThreads; t++) {
    scene.Start([&] {
      for (int claim = 0; claim < kClaims; claim++) {
        vmm_metrics::Shard shard(scene.native);
        for (int i = 0; i < kAddsEach; i++) vmm_metrics_add(&shard.get(), own, 1);
      }
    });
  }
  scene.StartUntilDone([&] { scene.Flush(); });
  scene.Join();
  const Lines lines(TextOf(scene.folder / "f"));
  CHECK_EQ(lines.broken, 0);
  scene.CheckExact(lines, "g.own", kThreads * kClaims * kAddsEach);
  CHECK(scene.store->cells().shards_used() <= 1 + kThreads);
}

TEST("given more threads than shards, when the threads without a shard add too, then no add is lost") {
  Scene scene;
  scene.Init("f");
  const vmm_metrics_metric own = scene.Metric("g.own");
  constexpr int kThreads = 140, kAddsEach = 200;
  std::atomic<int> claimed{0}, without{0};
  for (int t = 0; t < kThreads; t++) {
    scene.Start([&] {
      vmm_metrics::Shard shard(scene.native);
      if (shard.get().number == VMM_METRICS_SHARED_SHARD) without++;
      claimed++;
      while (claimed < kThreads) std::this_thread::yield();
      for (int i = 0; i < kAddsEach; i++) vmm_metrics_add(&shard.get(), own, 1);
    });
  }
  scene.StartUntilDone([&] {
    scene.Flush();
    SleepMs(1);
  });
  scene.Join();
  CHECK_EQ(without.load(), kThreads - static_cast<int>(kShards - 1));
  const Lines lines(TextOf(scene.folder / "f"));
  CHECK_EQ(lines.broken, 0);
  scene.CheckExact(lines, "g.own", kThreads * kAddsEach);
}

TEST("given a slow reader and many flushing threads, when lines are sent in pieces, then all are whole and no add is lost") {
  Scene scene(true);
  Fifo fifo(scene.folder / "fifo");
  scene.Init("fifo");
  const vmm_metrics_metric shared = scene.Metric("g.shared");
  scene.StartOwners(2, kAdds);
  std::atomic<uint64_t> added{0};
  for (int t = 0; t < 2; t++) {
    scene.Start([&] {
      vmm_metrics_shard shard;
      vmm_metrics_shared_shard(&scene.native, &shard);
      for (; scene.commits() < 30; added++) {
        vmm_metrics_add(&shard, shared, 1);
        scene.Flush();
      }
    });
  }
  std::string text;
  std::mt19937 random(11);
  scene.StartUntilDone([&] { text += fifo.Take(1 + random() % Fifo::kBytes); });
  scene.Join();
  text += fifo.TakeAll();
  const Lines lines(text);
  CHECK_EQ(lines.broken, 0);
  CHECK_EQ(lines.count(), scene.commits());
  scene.CheckExact(lines, "g.own", 2 * kAdds);
  scene.CheckExact(lines, "g.shared", added);
  const uint32_t missed = CellOf(scene.store->spec(), "logger.missed");
  scene.CheckExact(lines, "logger.missed", scene.store->cells().Total(missed));
}

TEST(
    "given a process that dies amid flushes and renames, when its last line is written, then no line follows, and no add is "
    "lost") {
  for (int round = 0; round < 8; round++) {
    Scene scene;
    scene.Init("f");
    scene.StartOwners(2, kAdds / 40);
    uint64_t lines_at_death = 0;
    scene.Start([&] {
      SleepMs(2);
      CHECK(scene.store->flusher().sender().LastLine(MonotonicMs() + kChildLimitMs));
      lines_at_death = scene.commits();
      SleepMs(2);
    });
    for (int t = 0; t < 2; t++) scene.StartUntilDone([&] { scene.Flush(); });
    Files files(scene.folder);
    scene.StartUntilDone([&] { files.Rename(); });
    scene.Join();
    const Lines lines(files.Text());
    CHECK_EQ(lines.broken, 0);
    CHECK_EQ(lines.count(), lines_at_death);
    scene.CheckExact(lines, "g.own", 2 * (kAdds / 40));
  }
}

TEST("given a file that is renamed over and over, when lines are written, then all are whole, and together they have every add") {
  Scene scene;
  scene.Init("f");
  scene.StartOwners(2, kAdds);
  for (int t = 0; t < 2; t++) scene.StartUntilDone([&] { CHECK_EQ(scene.Flush(), FlushResult::kOut); });
  Files files(scene.folder);
  scene.Start([&] {
    while (files.renamed() < 20) {
      files.Rename();
      SleepMs(1);
    }
  });
  scene.Join();
  const Lines lines(files.Text());
  CHECK_EQ(lines.broken, 0);
  scene.CheckExact(lines, "g.own", 2 * kAdds);
}

}  // namespace
}  // namespace vmm

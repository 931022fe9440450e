// Everything at the same time and at random: threads open and close stores, add, flush, capture signals, profile, and
// add and remove devices.
//
// Invariant: the run ends, nothing crashes, and the lines contain all that the threads added. A thread adds only
// between its Open and its Detach, and the last Detach of a store flushes, so nothing is pending at the end.
//
// VMM_METRICS_SOAK_SECONDS is the duration (default: 2). VMM_METRICS_SOAK_SEED is the random seed, which each run
// prints. The same seed repeats what each thread does, but not the order in which threads run.

#include "soak.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "check.h"
#include "child.h"
#include "dice.h"
#include "host_handler.h"
#include "line_reader.h"
#include "schema_builder.h"
#include "store/store.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

constexpr int kStores = 3;
constexpr int kThreads = 5;
constexpr int kStepsOfARound = 400;
constexpr int kIds = 4;

// The sums that all threads have added to one store.
struct Added {
  std::atomic<uint64_t> own{0}, shared{0}, time_us{0}, devices{0}, lone_devices{0};
};

struct Round {
  TemporaryFolder folder;
  Added added[kStores];
  std::atomic<uint64_t> opens{0}, closes{0}, flushes{0}, profiles{0}, captures{0};

  std::string PathOf(int store, const char* what) const { return folder / (what + std::to_string(store)); }
};

StoreSpec SpecOf(const Round& round, int store) {
  StoreSpec spec = SchemaBuilder()
                       .Group("g", {Inc("own"), Inc("shared"), Gauge("level"), Latency("time"), Inc("hups")})
                       .PerDevice("d", {Inc("n"), Gauge("level")})
                       .PerDevice("e", {Inc("n")}, Aggregate::kNone)
                       .Group("logger", {Inc("missed")})
                       .OnMissedFlush("logger.missed")
                       .OnSignal(SIGHUP, "g.hups")
                       .Build("soak" + std::to_string(store));
  // Store 0 has no file. Store 1 replaces the file of an earlier life; the others keep that file, which is the default.
  if (store > 0) spec.file = round.PathOf(store, "region");
  if (store == 1) spec.previous = Previous::kDiscard;
  return spec;
}

// One thread's attachment to one store.
class Attachment {
 public:
  Attachment(Round& round, int number, Store* store, Dice& dice)
      : round_(round), added_(round.added[number]), number_(number), store_(store), dice_(dice), native_{&store->abi()} {
    Status status;
    const InitResult result = store_->flusher().Init(round.PathOf(number, "lines").c_str(), -1, &status);
    CHECK(result == InitResult::kDone || result == InitResult::kAlready);
    shard_ = std::make_unique<vmm_metrics::Shard>(native_);
    for (const char* path : {"g.own", "g.shared"}) {
      vmm_metrics_metric metric = {};
      CHECK_EQ(vmm_metrics_find(&native_, path, VMM_METRICS_INC, &metric), VMM_METRICS_OK);
      incs_.push_back(metric);
    }
    CHECK_EQ(vmm_metrics_find(&native_, "g.time", VMM_METRICS_LATENCY, &time_), VMM_METRICS_OK);
  }

  ~Attachment() {
    if (dice_.Below(3) != 0) LetGo();  // otherwise nobody ever releases the devices
    shard_.reset();
    const bool goes_on = dice_.Below(3) == 0;  // as an addon's attachment that outlives this one
    if (goes_on) store_->Retain();
    store_->Detach(dice_.Below(2) == 0);
    round_.closes++;
    if (!goes_on) return;
    Status ignored;
    store_->Flush(&ignored);
    store_->LivingDevices(0);
    store_->CheckDisplaced();
    store_->GiveBackShard(store_->ClaimShard());
    store_->Unreference();
  }

  void Step() {
    switch (dice_.Below(12)) {
      case 0: return Flush();
      case 1: return (void)store_->StartPeriodicFlush(1 + dice_.Below(20));
      case 2: return Capture();
      case 3: return Profile();
      case 4: return (void)store_->profiler().Stop();
      case 5: return (void)store_->RemoveDevice(dice_.Below(2), Id());
      case 6:
      case 7: return AddInDevice();
      case 8: return Look();
      default: return Add();
    }
  }

 private:
  std::string Id() { return std::string(1, static_cast<char>('a' + dice_.Below(kIds))); }

  void Add() {
    vmm_metrics_shard shared = {};
    vmm_metrics_shared_shard(&native_, &shared);
    for (uint32_t i = dice_.Below(500); i > 0; i--) {
      vmm_metrics_add(&shard_->get(), incs_[0], i);
      added_.own += i;
      vmm_metrics_add(&shared, incs_[1], 1);
      added_.shared++;
    }
    vmm_metrics_observe(&shard_->get(), time_, 7);
    added_.time_us += 7;
  }

  // Adds to a device that it looks up now, and to earlier devices. Some of the earlier devices were removed.
  void AddInDevice() {
    const uint32_t group = dice_.Below(2);
    const std::string id = Id();
    vmm_metrics_device device = {};
    const vmm_metrics_status status = vmm_metrics_alloc_device(&native_, group == 0 ? "d" : "e", id.data(), id.size(), &device);
    if (!CHECK(status == VMM_METRICS_OK)) return;
    vmm_metrics_metric metric = {};
    CHECK_EQ(vmm_metrics_find_in_device(&native_, device, "n", VMM_METRICS_INC, &metric), VMM_METRICS_OK);
    vmm_metrics_add(&shard_->get(), metric, 3);
    AddedIn(group) += 3;
    held_.push_back({device, metric});
    for (const Held& held : held_) {
      vmm_metrics_add(&shard_->get(), held.metric, 1);
      AddedIn(held.device.group)++;
    }
    if (held_.size() > 20) LetGo();
  }

  std::atomic<uint64_t>& AddedIn(uint32_t group) { return group == 0 ? added_.devices : added_.lone_devices; }

  void LetGo() {
    for (const Held& held : held_) CHECK_EQ(vmm_metrics_release_device(&native_, held.device), VMM_METRICS_OK);
    held_.clear();
  }

  void Flush() {
    Status ignored;
    store_->Flush(&ignored);
    round_.flushes++;
  }

  void Capture() {
    CHECK(store_->CaptureSignals().ok());
    round_.captures++;
    raise(SIGHUP);
    raise(SIGWINCH);
  }

  void Profile() {
    ProfileSpec spec;
    spec.cells = {CellOf(store_->spec(), "g.own")};
    spec.interval_ns = 1'000 * (1 + dice_.Below(5'000));
    spec.header = "Time (ns)\tg.own\n";
    spec.path = dice_.Below(2) == 0 ? "/dev/null" : round_.PathOf(number_, "profile");
    std::shared_ptr<vmm::Profile> profile;
    if (!store_->profiler().Start(std::move(spec), &profile).ok()) return;  // another thread's is running
    round_.profiles++;
    if (dice_.Below(2) == 0) store_->profiler().Stop(profile);
  }

  void Look() {
    for (uint32_t group = 0; group < 2; group++) store_->LivingDevices(group);
    store_->TakeSnapshot();
    const uint32_t own = CellOf(store_->spec(), "g.own");
    const uint64_t before = store_->cells().Total(own);
    CHECK(store_->cells().Total(own) >= before);
    store_->CheckDisplaced();
    CHECK(!store_->is_closed());
  }

  Round& round_;
  Added& added_;
  const int number_;
  Store* const store_;
  Dice& dice_;
  const vmm_metrics_store native_;
  std::unique_ptr<vmm_metrics::Shard> shard_;
  struct Held {
    vmm_metrics_device device;
    vmm_metrics_metric metric;
  };
  std::vector<vmm_metrics_metric> incs_;
  std::vector<Held> held_;
  vmm_metrics_metric time_ = {};
};

void Live(Round& round, uint64_t seed) {
  Dice dice(static_cast<uint32_t>(seed));
  std::unique_ptr<Attachment> attached[kStores];
  for (int step = 0; step < kStepsOfARound; step++) {
    const int number = static_cast<int>(dice.Below(kStores));
    std::unique_ptr<Attachment>& attachment = attached[number];
    if (attachment == nullptr) {
      Store* store = nullptr;
      OpenConflict conflict;
      const Status status = Store::Open(SpecOf(round, number), &store, &conflict);
      // Another thread may be closing the store, whose file is then still locked.
      if (!CHECK(status.ok() || status.code == Code::kBusy)) continue;
      if (store == nullptr) continue;
      round.opens++;
      attachment = std::make_unique<Attachment>(round, number, store, dice);
    } else if (dice.OneIn(30)) {
      attachment.reset();
    } else {
      attachment->Step();
    }
  }
}

void CheckLines(const Round& round, int store) {
  const std::string text = TextOf(round.PathOf(store, "lines"));
  const Lines lines(text);
  const Added& added = round.added[store];
  CHECK_EQ(lines.broken, 0);
  CHECK_EQ(lines.tail, "");
  CHECK_EQ(lines.Sum("g.own"), added.own.load());
  CHECK_EQ(lines.Sum("g.shared"), added.shared.load());
  CHECK_EQ(lines.Sum("g.time.sum_us"), added.time_us.load());
  CHECK_EQ(lines.Sum("d.n"), added.devices.load());
  uint64_t lone = 0;
  for (char id = 'a'; id < 'a' + kIds; id++) lone += lines.Sum(std::string("e_") + id + ".n");
  CHECK_EQ(lone, added.lone_devices.load());
  CHECK_EQ(lines.Sum("logger.missed"), 0);
}

TEST("given threads that do anything to any store at any time, when all have detached, then the lines have every add") {
  InstallHandler(SIGHUP, [](int) {});
  const int64_t end_ms = MonotonicMs() + static_cast<int64_t>(SoakNumber("VMM_METRICS_SOAK_SECONDS", 2)) * 1000;
  uint64_t seed = SoakNumber("VMM_METRICS_SOAK_SEED", std::random_device()() % 1'000'000);
  uint64_t rounds = 0, opens = 0, flushes = 0, profiles = 0, captures = 0;
  do {
    const int failed_before = check::failed;
    Round round;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; t++) threads.emplace_back([&, t] { Live(round, seed * kThreads + static_cast<uint64_t>(t)); });
    for (std::thread& thread : threads) thread.join();
    CHECK_EQ(round.opens.load(), round.closes.load());
    for (int store = 0; store < kStores; store++) CheckLines(round, store);
    rounds++, opens += round.opens, flushes += round.flushes, profiles += round.profiles, captures += round.captures;
    if (check::failed != failed_before) {
      std::printf("    VMM_METRICS_SOAK_SEED=%llu fails\n", static_cast<unsigned long long>(seed));
      break;
    }
    seed++;
  } while (MonotonicMs() < end_ms);
  std::printf("    seeds up to %llu: %llu rounds, %llu opens, %llu flushes, %llu profiles, %llu captures\n",
              static_cast<unsigned long long>(seed), static_cast<unsigned long long>(rounds),
              static_cast<unsigned long long>(opens), static_cast<unsigned long long>(flushes),
              static_cast<unsigned long long>(profiles), static_cast<unsigned long long>(captures));
}

}  // namespace
}  // namespace vmm

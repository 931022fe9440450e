// IdleShards: what threads that have ended have counted costs a flush nothing, and is in every line all the same.

#include "region/idle_shards.h"

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "check.h"
#include "file_region.h"
#include "line_reader.h"
#include "region/collection.h"
#include "schema_builder.h"
#include "store/store.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

constexpr CellKind kKinds[] = {CellKind::kInc, CellKind::kStore, CellKind::kMin, CellKind::kMax, CellKind::kInc};
constexpr CellRun kRuns[] = {
    {0, 1, CellKind::kInc, 1}, {1, 1, CellKind::kStore, 2}, {2, 2, CellKind::kMax, 4}, {4, 1, CellKind::kInc, 8}};

struct Some {
  explicit Some(int file = -1) {
    CHECK(cells.Create({0x1234, "{}", 2, file}).ok());
    CHECK_EQ(Reserve(), 0);
  }
  // The first of five more cells.
  uint32_t Reserve() {
    uint32_t first = 0;
    CHECK(cells.Reserve(kKinds, 5, &first).ok());
    cells.Publish();
    return first;
  }
  void SetAll(uint32_t shard, uint64_t value) {
    for (uint32_t index = 0; index < cells.used(); index++) Set(cells.region().InShard(shard, index), value + index);
  }
  const ShardSelection& Select() { return cells.idle().Select(cells); }
  // Whether a flush would find every total.
  bool IsExact() {
    for (uint32_t first = 0; first < cells.used(); first += 5) {
      Collection(cells, Select(), 1, 0).Collect(first, kRuns, 4);
      for (uint32_t index = first; index < first + 5; index++) {
        if (Read(cells.region().InBank(1, index)) != cells.Total(index)) return false;
      }
    }
    return true;
  }
  Cells cells;
};

TEST("given shards that were given back, when a flush selects its shards, then those with an owner, and the totals are right") {
  Some some;
  CHECK_EQ(some.Select().count, 1);
  CHECK(some.Select().others == nullptr);
  for (uint32_t shard = 1; shard < kShards; shard++) {
    CHECK_EQ(some.cells.Claim(), shard);
    some.SetAll(shard, 1000 * shard);
  }
  CHECK_EQ(some.Select().count, kShards);
  CHECK(some.Select().others == nullptr);
  for (uint32_t shard = 1; shard < kShards; shard++) {
    if (shard != 77) some.cells.GiveBack(shard);
  }
  CHECK_EQ(some.Select().count, 2);
  CHECK_EQ(some.Select().numbers[1], 77);
  CHECK(some.IsExact());
  some.SetAll(77, 1'000'000);
  some.SetAll(kSharedShard, 3);
  CHECK(some.IsExact());
}

TEST("given an idle shard, when it is claimed, written to and given back again, then each selection has what it has by then") {
  Some some;
  CHECK_EQ(some.cells.Claim(), 1);
  CHECK_EQ(some.cells.Claim(), 2);
  for (uint64_t round = 1; round < 20; round++) {
    const uint32_t shard = 1 + static_cast<uint32_t>(round % 2);
    some.SetAll(shard, 7 * round);
    some.cells.GiveBack(shard);
    CHECK(some.IsExact());
    some.Reserve();  // cells that nobody has summed yet
    CHECK(some.IsExact());
    CHECK_EQ(some.cells.Claim(), shard);
    some.SetAll(shard, 9 * round);
    CHECK(some.IsExact());
  }
}

TEST("given an idle shard, when nobody claims or gives back a shard, then it is not read again") {
  Some some;
  CHECK_EQ(some.cells.Claim(), 1);
  some.SetAll(1, 100);
  some.cells.GiveBack(1);
  CHECK(some.IsExact());
  some.SetAll(1, 500);  // which nobody may do
  CHECK(!some.IsExact());
  CHECK_EQ(some.cells.Claim(), 1);
  CHECK(some.IsExact());
}

TEST("given a cell that is set to 0 in every shard, when it is forgotten, then it is 0 for flushes too") {
  Some some;
  CHECK_EQ(some.cells.Claim(), 1);
  some.SetAll(1, 100);
  some.cells.GiveBack(1);
  CHECK(some.IsExact());
  Set(some.cells.region().InShard(1, 4), 0);
  some.cells.idle().Forget(4);
  CHECK(some.IsExact());
}

TEST("given a region that has lost memory, when a flush selects its shards, then all, and it reads what is left") {
  const TemporaryFolder folder;
  Some some(OpenLocked(folder / "r"));
  CHECK_EQ(some.cells.Claim(), 1);
  some.SetAll(1, 100);
  some.cells.GiveBack(1);
  CHECK_EQ(some.Select().count, 1);
  CHECK_EQ(truncate((folder / "r").c_str(), static_cast<off_t>(some.cells.region().OffsetOf(kFirstShardRow + 1, 0))), 0);
  const std::vector<CellKind> gap(some.cells.region().chunk_cells(), CellKind::kNone);
  uint32_t first = 0;
  CHECK(some.cells.Reserve(gap.data(), static_cast<uint32_t>(gap.size()), &first).ok());
  CHECK(some.cells.region().is_degraded());
  CHECK_EQ(some.Select().count, 2);
  CHECK(some.Select().others == nullptr);
  CHECK(some.IsExact());
}

// Threads that live for a moment, each with a shard; devices that come and go, so that some are retired; flushes, last
// lines, and readers of what is pending, all the while.
//
// Invariant: no increment is lost or counted twice; what a thread has counted is in a line that it flushes afterwards;
// and a minimum that was in a line never leaves the next ones.
TEST("given threads that come and go, when flushes, last lines and retirements go on, then every add is in one line or pending") {
  const TemporaryFolder folder;
  OpenConflict conflict;
  Store* store = nullptr;
  Status status;
  CHECK(Store::Open(SchemaBuilder()
                        .Group("g", WithManyMore({Inc("all"), Latency("run"), Inc("t0"), Inc("t1"), Inc("t2"), Inc("t3")}, 100))
                        .PerDevice("d", {Inc("n"), Latency("io")})
                        .Build("idle shards"),
                    &store, &conflict)
            .ok());
  CHECK_EQ(store->flusher().Init((folder / "f").c_str(), -1, &status), InitResult::kDone);
  const vmm_metrics_store native = {&store->abi()};
  vmm_metrics_metric all = {}, run = {};
  CHECK_EQ(vmm_metrics_find(&native, "g.all", VMM_METRICS_INC, &all), VMM_METRICS_OK);
  CHECK_EQ(vmm_metrics_find(&native, "g.run", VMM_METRICS_LATENCY, &run), VMM_METRICS_OK);

  // Many idle shards, so that other threads come and go while these are summed.
  for (uint32_t shard = 1; shard < kShards; shard++) CHECK_EQ(store->ClaimShard(), shard);
  for (uint32_t shard = 1; shard < kShards; shard++) store->GiveBackShard(shard);

  constexpr int kThreads = 4, kLives = 300, kAdds = 30;
  std::atomic<int> living{kThreads};
  std::atomic<uint64_t> in_devices{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      const std::string path = "g.t" + std::to_string(t);
      vmm_metrics_metric own = {};
      CHECK_EQ(vmm_metrics_find(&native, path.c_str(), VMM_METRICS_INC, &own), VMM_METRICS_OK);
      for (int life = 0; life < kLives; life++) {
        const std::string id = std::to_string(t) + "-" + std::to_string(life % 3);
        vmm_metrics::Shard shard(native);
        vmm_metrics_device device = {};
        vmm_metrics_metric n = {};
        CHECK_EQ(vmm_metrics_alloc_device(&native, "d", id.data(), id.size(), &device), VMM_METRICS_OK);
        CHECK_EQ(vmm_metrics_find_in_device(&native, device, "n", VMM_METRICS_INC, &n), VMM_METRICS_OK);
        for (int i = 0; i < kAdds; i++) {
          vmm_metrics_add(&shard.get(), all, 1);
          vmm_metrics_add(&shard.get(), own, 1);
          vmm_metrics_add(&shard.get(), n, 1);
          vmm_metrics_observe(&shard.get(), run, 1'000'000 - static_cast<uint64_t>(life));
        }
        in_devices += kAdds;
        Status ignored;  // a last line may be going out
        if (store->Flush(&ignored) == FlushResult::kOut) CHECK_EQ(store->cells().Pending(CellOf(store->spec(), path)), 0);
        CHECK(store->RemoveDevice(0, id));
        CHECK_EQ(vmm_metrics_release_device(&native, device), VMM_METRICS_OK);
      }
      living--;
    });
  }
  threads.emplace_back([&] {
    while (living != 0) {
      const uint64_t pending = store->cells().Pending(CellOf(store->spec(), "g.all"));
      CHECK(pending <= uint64_t{kThreads} * kLives * kAdds);  // and never below 0
    }
  });
  threads.emplace_back([&] {
    while (living != 0) {
      Status ignored;
      store->Flush(&ignored);
    }
  });
  while (living != 0) {
    store->flusher().sender().LastLine(MonotonicMs() + 10'000);
    store->flusher().sender().Revive();
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(store->Flush(&status), FlushResult::kOut);
  const Lines lines(TextOf(folder / "f"));
  CHECK_EQ(lines.broken, 0);
  CHECK_EQ(lines.Sum("g.all"), uint64_t{kThreads} * kLives * kAdds);
  CHECK_EQ(lines.Sum("d.n"), in_devices.load());
  uint64_t least = 0;
  for (const Values& line : lines.values) {
    const uint64_t minimum = line.at("g.run.min_us");
    CHECK(least == 0 || (minimum != 0 && minimum <= least));
    least = minimum;
  }
  CHECK_EQ(least, 1'000'000 - (kLives - 1));
  store->Detach(false);
}

}  // namespace
}  // namespace vmm

// KvmWatches and KvmSamples: descriptors are sampled into cells, exactly, by any number of threads.

#include <thread>
#include <utility>
#include <vector>

#include "check.h"
#include "kvm/columns.h"
#include "kvm/watches.h"
#include "kvm_bytes.h"
#include "kvm_scene.h"

namespace vmm {
namespace {

TEST("given a descriptor, when it is watched and sampled, then counters and gauges have its values, past ones too") {
  KvmScene scene;
  const KvmBytes bytes(KvmScene::Statistics());
  bytes.Set("exits", 1000);
  bytes.Set("pages", 7);
  CHECK(scene.Watch(bytes).ok());
  CHECK_EQ(scene.At(0), 1000u);
  CHECK_EQ(scene.At(1), 7u);
  bytes.Set("exits", 70'000);
  bytes.Set("pages", 3);
  bytes.Set("wait_ns", ~uint64_t{0} >> 1);
  CHECK_EQ(scene.At(0), 1000u);
  scene.samples.Sample();
  scene.samples.Sample();
  CHECK_EQ(scene.At(0), 70'000u);
  CHECK_EQ(scene.At(1), 3u);
  CHECK_EQ(scene.At(2), ~uint64_t{0} >> 1);
  CHECK_EQ(scene.At(3), 0u);
}

TEST("given a watch, when the host closes its descriptor and the number is reused, then the watch goes on") {
  KvmScene scene;
  auto bytes = std::make_unique<KvmBytes>(KvmScene::Statistics());
  CHECK(scene.Watch(*bytes).ok());
  bytes->Set("exits", 5);
  const int number = bytes->fd();
  bytes.reset();
  CHECK_EQ(memfd_create("another", 0), number);
  scene.samples.Sample();
  CHECK_EQ(scene.At(0), 5u);
  CHECK_EQ(scene.At(3), 0u);
  close(number);
}

TEST("given a descriptor that vanishes, when it is sampled, then the values stay, and the error cell goes up once") {
  KvmScene scene;
  const KvmBytes bytes(KvmScene::Statistics());
  bytes.Set("exits", 9);
  CHECK(scene.Watch(bytes).ok());
  CHECK(scene.watches.TakeLosses().empty());
  CHECK_EQ(ftruncate(bytes.fd(), 0), 0);
  for (int i = 0; i < 3; i++) scene.samples.Sample();
  CHECK_EQ(scene.At(0), 9u);
  CHECK_EQ(scene.At(3), 1u);
  const auto losses = scene.watches.TakeLosses();
  if (CHECK_EQ(losses.size(), 1u)) CHECK_EQ(losses[0].error, ENODATA);
  CHECK(scene.watches.TakeLosses().empty());
}

TEST("given a watch, when it ends, then it was sampled once more, and its descriptor is closed when nobody reads it") {
  KvmScene scene;
  const KvmBytes bytes(KvmScene::Statistics());
  CHECK(scene.Watch(bytes).ok());
  bytes.Set("exits", 4);
  CHECK(scene.watches.End(KvmWatches::kVm));
  CHECK(!scene.watches.End(KvmWatches::kVm));
  CHECK_EQ(scene.At(0), 4u);
  bytes.Set("exits", 8);
  scene.samples.Sample();
  CHECK_EQ(scene.At(0), 4u);
  int freed = 0;
  const auto count = [&](uint32_t) { freed++; };
  {
    const KvmSamples::Reading reading(scene.samples);
    scene.watches.FreeEnded(count);
    CHECK_EQ(freed, 0);
  }
  scene.watches.FreeEnded(count);
  CHECK_EQ(freed, 1);
}

TEST("given a VM, when another one takes its place, then the counts add up; when the same one comes back, then none doubles") {
  KvmScene scene;
  const KvmBytes first(KvmScene::Statistics(), "kvm-1"), second(KvmScene::Statistics(), "kvm-1"),
      third(KvmScene::Statistics(), "kvm-2");
  first.Set("exits", 100);
  CHECK(scene.Watch(first).ok());
  first.Set("exits", 110);
  CHECK(scene.Watch(first).ok());
  CHECK_EQ(scene.At(0), 110u);
  first.Set("exits", 120);
  second.Set("exits", 5);
  CHECK(scene.Watch(second).ok());
  CHECK_EQ(scene.At(0), 125u);
  second.Set("exits", 6);
  scene.watches.End(KvmWatches::kVm);
  second.Set("exits", 8);
  CHECK(scene.Watch(second).ok());
  CHECK_EQ(scene.At(0), 128u);
  third.Set("exits", 1000);
  CHECK(scene.Watch(third).ok());
  CHECK_EQ(scene.At(0), 1128u);
}

TEST("given descriptors that do not fit, when they are watched, then each is refused, and nothing changes") {
  KvmScene scene;
  const KvmBytes none({{"a"}, {"b"}}), kind({{"exits", kInstantFlags}}), histogram({{"exits", kLogFlags, 0, 4}});
  for (const KvmBytes* bytes : {&none, &kind, &histogram}) CHECK_EQ(scene.Watch(*bytes).code, Code::kWrongFile);
  CHECK(scene.samples.is_empty());
}

TEST("given more words than are read at once, when they are sampled, then every one arrives") {
  std::vector<KvmByte> statistics;
  std::vector<KvmMetric> metrics;
  const std::vector<CellKind> kinds(300, CellKind::kInc);
  for (uint32_t i = 0; i < 300; i++) {
    statistics.push_back({"c" + std::to_string(i)});
    metrics.push_back({"c" + std::to_string(i), i});
    statistics.push_back({"h" + std::to_string(i), kLogFlags, 0, 3});
  }
  const KvmBytes bytes(statistics);
  Cells cells;
  uint32_t first = 0;
  CHECK(cells.Create({1}).ok());
  CHECK(cells.Reserve(kinds.data(), 300, &first).ok());
  cells.Publish();
  KvmSamples samples;
  KvmWatches watches(samples, cells);
  KvmWatches::Prepared prepared;
  CHECK(KvmWatches::Prepare(bytes.fd(), metrics, kinds, &prepared).ok());
  watches.Begin(KvmWatches::kVm, std::move(prepared));
  for (uint32_t i = 0; i < 300; i++) bytes.Set("c" + std::to_string(i), 1000 * i + 1);
  samples.Sample();
  uint32_t right = 0;
  for (uint32_t i = 0; i < 300; i++) right += cells.Total(i) == 1000 * i + 1;
  CHECK_EQ(right, 300u);
}

TEST("given columns of a profile, when they are sampled, then only descriptors with a column are read, also later ones") {
  KvmScene scene;
  KvmColumns exits(&scene.samples, scene.cells, {3, 0}), other(&scene.samples, scene.cells, {3});
  exits.Sample();
  CHECK_EQ(exits.sources(), 0u);
  const KvmBytes bytes(KvmScene::Statistics());
  CHECK(scene.Watch(bytes).ok());
  bytes.Set("exits", 3);
  other.Sample();
  CHECK_EQ(other.sources(), 0u);
  CHECK_EQ(scene.At(0), 0u);
  exits.Sample();
  CHECK_EQ(exits.sources(), 1u);
  CHECK_EQ(scene.At(0), 3u);
  scene.watches.End(KvmWatches::kVm);
  exits.Sample();
  CHECK_EQ(exits.sources(), 0u);
}

TEST(
    "given counters that are added to all the time, when they are sampled over and over, then none is too large, and the last is "
    "exact") {
  KvmScene scene;
  const KvmBytes bytes(KvmScene::Statistics());
  CHECK(scene.Watch(bytes).ok());
  std::atomic<uint64_t>&exits = bytes.Word("exits"), &wait = bytes.Word("wait_ns");
  std::atomic<bool> is_over{false};
  std::thread writer([&] {
    // Each add carries into the second byte or a higher one.
    for (uint64_t i = 0; !is_over.load(std::memory_order_relaxed); i++) {
      exits.fetch_add(255, std::memory_order_relaxed);
      wait.fetch_add(0xffff, std::memory_order_relaxed);
    }
  });
  int too_large = 0;
  for (int i = 0; i < 50'000; i++) {
    scene.samples.Sample();
    // Read after the sample, so these can only be larger.
    const uint64_t exits_now = exits.load(std::memory_order_relaxed), wait_now = wait.load(std::memory_order_relaxed);
    too_large += scene.At(0) > exits_now || scene.At(2) > wait_now;
  }
  CHECK_EQ(too_large, 0);
  is_over.store(true, std::memory_order_relaxed);
  writer.join();
  scene.samples.Sample();
  CHECK_EQ(scene.At(0), exits.load(std::memory_order_relaxed));
  CHECK_EQ(scene.At(2), wait.load(std::memory_order_relaxed));
}

TEST("given threads that sample, and one that begins and ends watches, when all is over, then no count is lost or doubled") {
  KvmScene scene;
  const KvmBytes bytes(KvmScene::Statistics());
  CHECK(scene.Watch(bytes).ok());
  std::atomic<bool> is_over{false};
  std::vector<std::thread> threads;
  std::atomic<int> falls{0};
  for (int i = 0; i < 3; i++) {
    threads.emplace_back([&] {
      KvmColumns columns(&scene.samples, scene.cells, {0});
      uint64_t last = 0;
      while (!is_over.load(std::memory_order_relaxed)) {
        scene.samples.Sample();
        columns.Sample();
        const uint64_t now = Read(scene.cells.Shared(0));
        if (now < last) falls.fetch_add(1, std::memory_order_relaxed);
        last = now;
      }
    });
  }
  std::atomic<uint64_t>& exits = bytes.Word("exits");
  for (int i = 0; i < 2000; i++) {
    for (int n = 0; n < 50; n++) exits.fetch_add(3, std::memory_order_relaxed);
    if (i % 3 == 0) scene.watches.End(KvmWatches::kVm);
    CHECK(scene.Watch(bytes).ok());
    scene.watches.FreeEnded([](uint32_t) {});
  }
  is_over.store(true, std::memory_order_relaxed);
  for (std::thread& thread : threads) thread.join();
  scene.samples.Sample();
  CHECK_EQ(scene.At(0), 300'000u);
  CHECK_EQ(falls.load(), 0);
  scene.watches.End(KvmWatches::kVm);
  scene.watches.FreeEnded([](uint32_t) {});
}

}  // namespace
}  // namespace vmm

// CppClasses: the classes of include/vmm_metrics.hpp.

#include <string>
#include <utility>

#include "attached_store.h"
#include "base/clock.h"
#include "check.h"

namespace vmm {
namespace {

TEST("given the objects of the header, when they go out of scope, then the shard is released and the time is recorded") {
  Attached attached;
  const vmm_metrics_metric l = attached.Find("g.l", VMM_METRICS_LATENCY);
  uint32_t number = 0;
  const uint64_t begin_ns = vmm_metrics_now_ns();
  {
    vmm_metrics::Shard shard(attached.native);
    number = shard.get().number;
    CHECK(!shard.is_shared());
    vmm_metrics::IncMetric(attached.Find("g.i", VMM_METRICS_INC)).inc(shard);
    vmm_metrics::IncMetric(attached.Find("g.i", VMM_METRICS_INC)).add(shard, 2);
    vmm_metrics::StoreMetric(attached.Find("g.s", VMM_METRICS_STORE)).store(shard, 9);
    const vmm_metrics::LatencyMetric latency(l);
    vmm_metrics::LatencyRecord record(shard, latency);
    SleepUs(2'000);
  }
  const uint64_t took_us = (vmm_metrics_now_ns() - begin_ns) / 1000 + 1;
  CHECK_EQ(attached.Total("g.i"), 3);
  CHECK_EQ(attached.Total("g.s"), 9);
  const uint64_t recorded_us = attached.store->cells().Total(CellOf(attached.store->spec(), "g.l") + 2);
  CHECK(recorded_us >= 2000);
  CHECK(recorded_us <= took_us);
  CHECK_EQ(attached.store->ClaimShard(), number);
}

TEST("given a shard, when it is moved, then the new object has it, the old one is empty, and it is given back once") {
  Attached attached;
  const vmm_metrics::IncMetric inc(attached.Find("g.i", VMM_METRICS_INC));
  vmm_metrics::Shard empty;
  CHECK(empty.is_empty());
  CHECK(!empty.is_shared());
  inc.inc(empty);  // counts nowhere
  uint32_t number = 0;
  {
    vmm_metrics::Shard first(attached.native);
    number = first.get().number;
    vmm_metrics::Shard second(std::move(first));
    CHECK(first.is_empty());
    CHECK_EQ(second.get().number, number);
    inc.inc(first);
    inc.inc(second);
    empty = std::move(second);
    CHECK(second.is_empty());
    inc.inc(empty);
    vmm_metrics::Shard& same = empty;
    empty = std::move(same);
    inc.inc(empty);
    vmm_metrics::Shard other(attached.native);
    CHECK(other.get().number != number);
    empty = std::move(other);  // gives the first shard back
    CHECK_EQ(attached.store->ClaimShard(), number);
    attached.store->GiveBackShard(number);
    number = empty.get().number;
    empty = vmm_metrics::Shard();
  }
  CHECK_EQ(attached.Total("g.i"), 3);
  CHECK_EQ(attached.store->ClaimShard(), 1);
  CHECK_EQ(attached.store->ClaimShard(), number);
}

TEST("given every shard taken, when one more is made, then it says that it is shared, and counts") {
  Attached attached;
  while (attached.store->ClaimShard() != kSharedShard) {
  }
  const vmm_metrics::Shard shard(attached.native);
  CHECK(shard.is_shared());
  vmm_metrics::IncMetric(attached.Find("g.i", VMM_METRICS_INC)).add(shard, 5);
  CHECK_EQ(attached.Total("g.i"), 5);
}

TEST("given a metric that was never looked up, when code counts on it, then no metric changes") {
  Attached attached;
  const vmm_metrics::Shard shard(attached.native);
  vmm_metrics::IncMetric().inc(shard);
  vmm_metrics::StoreMetric().store(shard, 1);
  vmm_metrics::LatencyMetric().observe(shard, 1);
  vmm_metrics::LatencyMetric().observe_ns(shard, 1);
  for (uint32_t cell = 0; cell < attached.store->cells().used(); cell++) CHECK_EQ(attached.store->cells().Total(cell), 0);
}

TEST("given names, when they are looked up by the type of the metric, then a failure names the metric or the device") {
  Attached attached;
  const vmm_metrics::Shard shard(attached.native);
  vmm_metrics::IncMetric inc;
  vmm_metrics::StoreMetric gauge;
  CHECK_EQ(vmm_metrics::find(attached.native, "g.i", &inc), "");
  inc.inc(shard);
  CHECK_EQ(attached.Total("g.i"), 1);
  CHECK_EQ(vmm_metrics::find(attached.native, "g.j", &inc), "g.j: the schema has no metric or group of that name");
  inc.inc(shard);  // counts nowhere
  CHECK_EQ(attached.Total("g.i"), 1);
  CHECK_EQ(vmm_metrics::find(attached.native, "g.i", &gauge), "g.i: the metric of that name is of another kind");
  vmm_metrics_device device = {};
  CHECK_EQ(vmm_metrics::alloc_device(attached.native, "d", "a", &device), "");
  CHECK_EQ(vmm_metrics::find_in_device(attached.native, device, "s", &gauge), "");
  CHECK_EQ(vmm_metrics::find_in_device(attached.native, device, "t", &gauge),
           "t: the schema has no metric or group of that name");
  CHECK_EQ(vmm_metrics::alloc_device(attached.native, "d", "", &device),
           "d '': a device id must be 1 to 255 bytes of UTF-8 without NUL");
}

TEST("given metrics and devices beyond the first page of cells, when code counts by their numbers, then those cells change") {
  Attached attached(
      SchemaBuilder().Group("g", WithManyMore({Latency("l")}, 1'200)).PerDevice("d", WithManyMore({Inc("i")}, 700)).Build("far"));
  const StoreSpec& spec = attached.store->spec();
  const vmm_metrics::Shard shard(attached.native);
  for (const char* path : {"g.metric_number_600", "g.metric_number_1199"}) {
    const uint32_t cell = CellOf(spec, path);
    CHECK(cell >= 512);
    const vmm_metrics::Far<vmm_metrics::IncMetric> far(cell);
    far.inc(shard);
    far.add(shard, 4);
    CHECK_EQ(attached.Total(path), 5);
  }
  for (const char* id : {"a", "b"}) {
    vmm_metrics::Device device;
    std::string problem = "unchanged";
    const vmm_metrics::DeviceCells cells(attached.native, "d", id, &device, &problem);
    CHECK_EQ(problem, "");
    vmm_metrics::IncMetric first, last;
    cells.find(0, &first);
    cells.find(CellOf(spec, 0, "metric_number_699"), &last);
    first.inc(shard);
    last.add(shard, 2);
    CHECK_EQ(attached.store->cells().Total(device.handle.first_cell), 1);
    CHECK_EQ(attached.store->cells().Total(device.handle.first_cell + CellOf(spec, 0, "metric_number_699")), 2);
    CHECK(vmm_metrics::release(attached.native, device));
    CHECK(!vmm_metrics::release(attached.native, device));
    CHECK(vmm_metrics::remove(attached.native, "d", id));
    CHECK(!vmm_metrics::remove(attached.native, "d", id));
  }
}

TEST("given a device that cannot be made, when code counts on it, then the aggregate has it, or nothing without the group") {
  Attached attached;
  const vmm_metrics::Shard shard(attached.native);
  vmm_metrics::IncMetric inc;
  std::string problem;
  vmm_metrics::Device device;
  vmm_metrics::DeviceCells(attached.native, "d", "", &device, &problem).find(0, &inc);
  CHECK_EQ(problem, "d '': a device id must be 1 to 255 bytes of UTF-8 without NUL");
  inc.inc(shard);
  CHECK_EQ(attached.store->cells().Total(attached.store->RestOf(0)), 1);
  inc = {};
  device = {};
  vmm_metrics::DeviceCells(attached.native, "none", "a", &device, nullptr).find(0, &inc);
  inc.inc(shard);
  CHECK_EQ(attached.Total("g.i"), 0);
  CHECK(!vmm_metrics::release(attached.native, device));
}

}  // namespace
}  // namespace vmm

// What a Store does with KVM's statistics: lines, snapshots, devices that come and go, forks, and its interface for
// other addons.

#include <dirent.h>
#include <sys/wait.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "check.h"
#include "kvm_bytes.h"
#include "line_reader.h"
#include "schema_builder.h"
#include "store/store.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

StoreSpec Spec(const std::string& name) {
  return WithKvm(SchemaBuilder()
                     .Group("g", {Inc("n")})
                     .Group("vm", {Inc("exits"), Gauge("pages")})
                     .PerDevice("vcpu", {Inc("exits"), Gauge("blocking")})
                     .PerDevice("disk", {Inc("n")})
                     .Build(name),
                 "vm");
}

struct Opened {
  explicit Opened(const std::string& name) {
    OpenConflict conflict;
    CHECK(Store::Open(Spec(name), &store, &conflict).ok());
  }
  ~Opened() { Close(); }
  void Close() {
    if (store != nullptr) store->Detach(true);
    store = nullptr;
  }
  Status Sample(const std::vector<Store::KvmTarget>& targets) {
    size_t failed = 0;
    return store->SampleKvm(targets, &failed);
  }
  // A counter of the VM, and the sum of a counter of all vCPUs.
  uint64_t Vm(const std::string& name) { return store->TakeSnapshot().totals[CellOf(store->spec(), "vm." + name)]; }
  uint64_t Vcpus() {
    const Store::Snapshot snapshot = store->TakeSnapshot();
    const size_t first = store->spec().kinds.size();
    uint64_t sum = 0;
    for (size_t i = 0; i <= snapshot.ids[0].size(); i++) sum += snapshot.totals[first + 2 * i];
    return sum;
  }

  Store* store = nullptr;
};

const std::vector<KvmByte> kStatistics = {{"exits"}, {"pages", kInstantFlags}, {"blocking", kInstantFlags}};

int OpenDescriptors() {
  DIR* const folder = opendir("/proc/self/fd");
  int count = 0;
  while (readdir(folder) != nullptr) count++;
  closedir(folder);
  return count;
}

TEST("given a VM and its vCPUs, when lines are written, then each line and snapshot has the values of that moment") {
  const TemporaryFolder folder;
  Opened opened("lines");
  const KvmBytes vm(kStatistics, "kvm-1"), zero(kStatistics), one(kStatistics);
  CHECK(opened.Sample({{false, "", vm.fd()}, {true, "0", zero.fd()}, {true, "1", one.fd()}}).ok());
  Status status;
  CHECK_EQ(opened.store->flusher().Init((folder / "lines").c_str(), -1, &status), InitResult::kDone);
  vm.Set("exits", 3);
  vm.Set("pages", 9);
  zero.Set("exits", 10);
  one.Set("exits", 20);
  CHECK_EQ(opened.store->Flush(&status), FlushResult::kOut);
  one.Set("exits", 25);
  CHECK_EQ(opened.store->Flush(&status), FlushResult::kOut);
  zero.Set("exits", 11);
  CHECK_EQ(opened.Vm("exits"), 3u);
  CHECK_EQ(opened.Vcpus(), 36u);
  CHECK_EQ(opened.store->Flush(&status), FlushResult::kOut);
  zero.Set("exits", 13);
  opened.Close();  // nothing but this is unflushed
  const Lines lines(TextOf(folder / "lines"));
  if (!CHECK_EQ(lines.count(), 4u)) return;
  const struct {
    const char* path;
    uint64_t values[4];
  } expected[] = {
      {"vm.exits", {3, 0, 0, 0}},      {"vm.pages", {9, 9, 9, 9}},    {"vcpu_0.exits", {10, 0, 1, 2}},
      {"vcpu_1.exits", {20, 5, 0, 0}}, {"vcpu.exits", {30, 5, 1, 2}},
  };
  for (const auto& [path, values] : expected) {
    for (size_t i = 0; i < 4; i++) CHECK_EQ(lines.values[i].at(path), values[i]);
  }
}

TEST("given a store without a sink, when it is flushed, then its cells have KVM's new values, for readers of the region") {
  Opened opened("no sink");
  const KvmBytes vm(kStatistics, "kvm-1");
  CHECK(opened.Sample({{false, "", vm.fd()}}).ok());
  vm.Set("exits", 8);
  Status status;
  CHECK_EQ(opened.store->Flush(&status), FlushResult::kNotInitialized);
  CHECK_EQ(opened.store->cells().Total(CellOf(opened.store->spec(), "vm.exits")), 8u);
}

TEST("given a store of which only KVM has counted since the last line, when it ends without close(), then a last line has it") {
  const TemporaryFolder folder;
  Opened opened("ends");
  const KvmBytes vm(kStatistics, "kvm-1");
  CHECK(opened.Sample({{false, "", vm.fd()}}).ok());
  Status status;
  CHECK_EQ(opened.store->flusher().Init((folder / "lines").c_str(), -1, &status), InitResult::kDone);
  vm.Set("exits", 3);
  CHECK_EQ(opened.store->Flush(&status), FlushResult::kOut);
  vm.Set("exits", 7);
  std::exchange(opened.store, nullptr)->Detach(false);
  const Lines lines(TextOf(folder / "lines"));
  if (!CHECK_EQ(lines.count(), 2u)) return;
  CHECK_EQ(lines.values[1].at("vm.exits"), 4u);
}

TEST("given a vCPU that is removed, when its device is retired and its cells go to another one, then the sums are exact") {
  const TemporaryFolder folder;
  Opened opened("removed");
  Status status;
  CHECK_EQ(opened.store->flusher().Init("/dev/null", -1, &status), InitResult::kDone);
  const int before = OpenDescriptors();
  std::atomic<bool> is_over{false};
  std::thread reader([&] {
    while (!is_over.load(std::memory_order_relaxed)) opened.store->TakeSnapshot();
  });
  constexpr uint64_t kTurns = 400;
  uint32_t most_cells = 0;
  for (uint64_t i = 0; i < kTurns; i++) {
    const KvmBytes vcpu(kStatistics);
    vcpu.Set("exits", 100);
    CHECK(opened.Sample({{true, "7", vcpu.fd()}}).ok());
    vcpu.Set("exits", 101 + i);
    CHECK(opened.store->RemoveDevice(0, "7"));
    vcpu.Set("exits", 5000);  // nobody reads this any more
    CHECK_EQ(opened.store->Flush(&status), FlushResult::kOut);
    most_cells = opened.store->cells().used();
  }
  is_over.store(true, std::memory_order_relaxed);
  reader.join();
  CHECK_EQ(opened.Vcpus(), kTurns * 101 + kTurns * (kTurns - 1) / 2);
  CHECK(most_cells < 200);  // cells were used again
  const KvmBytes last(kStatistics);
  CHECK(opened.Sample({{true, "7", last.fd()}}).ok());
  CHECK(opened.store->RemoveDevice(0, "7"));
  CHECK_EQ(OpenDescriptors(), before + 1);  // that of `last`
}

TEST("given a vCPU that had two descriptors and was removed, when another vCPU gets its cells, then it counts from 0") {
  Opened opened("again");
  Status status;
  CHECK_EQ(opened.store->flusher().Init("/dev/null", -1, &status), InitResult::kDone);
  const KvmBytes first(kStatistics), second(kStatistics);
  first.Set("exits", 100);
  second.Set("exits", 5);
  CHECK(opened.Sample({{true, "first", first.fd()}}).ok());
  CHECK(opened.Sample({{true, "first", second.fd()}}).ok());
  CHECK_EQ(opened.Vcpus(), 105u);
  CHECK(opened.store->RemoveDevice(0, "first"));
  const uint32_t cells = opened.store->cells().used();
  uint64_t vcpus = 0;
  for (; vcpus < 100; vcpus++) {
    const KvmBytes other(kStatistics);
    other.Set("exits", 50);
    CHECK(opened.Sample({{true, std::to_string(vcpus), other.fd()}}).ok());
    CHECK_EQ(opened.Vcpus(), 105 + 50 * (vcpus + 1));
    CHECK(opened.store->RemoveDevice(0, std::to_string(vcpus)));
    CHECK_EQ(opened.store->Flush(&status), FlushResult::kOut);
    SleepUs(1'000);  // retirements have gaps
  }
  CHECK(opened.store->cells().used() < cells + 2 * vcpus);  // cells were used again
}

TEST("given a watch, when it ends, its store closes or a call fails, then no descriptor of the store stays open") {
  const int before = OpenDescriptors();
  {
    const KvmBytes bytes(kStatistics), wrong({{"a"}});
    Opened opened("descriptors");
    const int open = OpenDescriptors();
    CHECK(opened.Sample({{false, "", bytes.fd()}, {true, "0", bytes.fd()}}).ok());
    CHECK_EQ(OpenDescriptors(), open + 2);
    CHECK_EQ(opened.Sample({{true, "1", bytes.fd()}, {true, "2", wrong.fd()}}).code, Code::kWrongFile);
    CHECK_EQ(OpenDescriptors(), open + 2);
    CHECK_EQ(opened.store->LivingDevices(0).size(), 1u);
    bytes.Set("exits", 6);
    CHECK(opened.Sample({{false, "", -1}, {true, "none", -1}}).ok());
    CHECK_EQ(OpenDescriptors(), open + 1);
    CHECK_EQ(opened.Vm("exits"), 6u);
    CHECK(opened.Sample({{true, "0", bytes.fd()}}).ok());
    CHECK_EQ(OpenDescriptors(), open + 1);
  }
  CHECK_EQ(OpenDescriptors(), before);
}

TEST("given a store that closes, when other threads watch descriptors and flush, then all descriptors are closed") {
  const KvmBytes bytes(kStatistics);
  const int before = OpenDescriptors();
  for (int i = 0; i < 100; i++) {
    Opened opened("closing");
    Store* const store = opened.store;
    const vmm_metrics_store native = {&store->abi()};
    store->Retain();
    CHECK(opened.Sample({{false, "", bytes.fd()}}).ok());
    std::atomic<int> begun{0};
    std::thread watcher([&] {
      while (vmm_metrics_watch_kvm(&native, bytes.fd(), nullptr, 0) == VMM_METRICS_OK) begun.fetch_add(1);
    });
    // As process.exit() on another thread does. A flush that has no processor keeps the descriptors open for longer, so
    // only half of the turns have flushes.
    const bool has_flushes = i % 2 != 0;
    std::thread exiting([&] {
      while (!store->is_closed()) {
      }
      for (int n = 0; n < 20 && has_flushes; n++) store->FlushIfChanged();
    });
    while (begun.load() == 0) {
    }
    opened.Close();
    watcher.join();
    exiting.join();
    CHECK_EQ(vmm_metrics_watch_kvm(&native, bytes.fd(), nullptr, 0), VMM_METRICS_CLOSED);
    if (!has_flushes) CHECK_EQ(OpenDescriptors(), before + 1);  // that of the region
    store->Unreference();
    CHECK_EQ(OpenDescriptors(), before);
  }
}

TEST("given a forked child, when both processes sample, then the parent's counts are those of KVM") {
  Opened opened("fork");
  const KvmBytes bytes(kStatistics);
  CHECK(opened.Sample({{false, "", bytes.fd()}}).ok());
  bytes.Set("exits", 50);
  const pid_t child = fork();
  if (child == 0) {
    const bool is_right = opened.Vm("exits") == 50;
    bytes.Set("exits", 60);
    _exit(is_right && opened.Vm("exits") == 60 ? 0 : 1);
  }
  int how = -1;
  CHECK_EQ(waitpid(child, &how, 0), child);
  CHECK_EQ(how, 0);
  CHECK_EQ(opened.Vm("exits"), 60u);
}

TEST("given a store without such metrics, when native code watches a descriptor, then the status names the reason") {
  Opened opened("abi");
  vmm_metrics_store native = {&opened.store->abi()};
  const KvmBytes bytes(kStatistics), wrong({{"a"}});
  CHECK_EQ(vmm_metrics_watch_kvm(&native, bytes.fd(), nullptr, 0), VMM_METRICS_OK);
  CHECK_EQ(vmm_metrics_watch_kvm(&native, bytes.fd(), "0", 1), VMM_METRICS_OK);
  bytes.Set("exits", 4);
  CHECK_EQ(opened.Vm("exits"), 4u);
  CHECK_EQ(opened.Vcpus(), 4u);
  CHECK_EQ(vmm_metrics_watch_kvm(&native, wrong.fd(), nullptr, 0), VMM_METRICS_BAD_ARGUMENT);
  CHECK_EQ(vmm_metrics_watch_kvm(&native, bytes.fd(), "", 0), VMM_METRICS_BAD_ID);
  CHECK_EQ(vmm_metrics_watch_kvm(&native, -1, nullptr, 0), VMM_METRICS_OK);
  bytes.Set("exits", 5);
  CHECK_EQ(opened.Vm("exits"), 4u);

  Store* plain = nullptr;
  OpenConflict conflict;
  CHECK(Store::Open(SchemaBuilder().Group("vm", {Inc("exits")}).Build("plain"), &plain, &conflict).ok());
  const vmm_metrics_store none = {&plain->abi()};
  CHECK_EQ(vmm_metrics_watch_kvm(&none, bytes.fd(), nullptr, 0), VMM_METRICS_UNKNOWN_NAME);
  CHECK_EQ(vmm_metrics_watch_kvm(&none, bytes.fd(), "0", 1), VMM_METRICS_UNKNOWN_NAME);
  plain->Detach(true);
}

}  // namespace
}  // namespace vmm

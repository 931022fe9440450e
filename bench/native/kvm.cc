// What a sample of KVM costs. This measures the function that flushes, profiles and the crash handler call, without a
// store around it.

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "addon.h"
#include "base/clock.h"
#include "kvm/watches.h"

namespace {

// A memfd with the bytes of a statistics descriptor, and the cells that it is sampled into.
struct Bench {
  explicit Bench(const std::vector<char>& bytes) {
    fd = memfd_create("kvm", MFD_CLOEXEC);
    if (ftruncate(fd, static_cast<off_t>(bytes.size())) != 0) return;
    void* const mapped = mmap(nullptr, bytes.size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) return;
    memory = static_cast<char*>(mapped);
    memcpy(memory, bytes.data(), bytes.size());
    vmm::KvmStatistics statistics;
    if (!vmm::KvmStatistics::Read(fd, &statistics).ok()) return;
    std::vector<vmm::KvmMetric> metrics;
    std::vector<vmm::CellKind> kinds;
    for (const vmm::KvmStatistic& one : statistics.all) {
      const vmm::KvmMetricShape shape = vmm::ShapeOf(one);
      if (shape.kind == vmm::KvmMetricShape::kNone) continue;
      metrics.push_back({one.name, static_cast<uint32_t>(kinds.size())});
      const bool is_counter = shape.kind == vmm::KvmMetricShape::kCounter;
      kinds.push_back(is_counter ? vmm::CellKind::kInc : vmm::CellKind::kStore);
      const uint64_t at = uint64_t{statistics.data_offset} + one.offset;
      begin = std::min(begin, at);
      end = std::max(end, at + sizeof(uint64_t));
      if (is_counter) counters.push_back(reinterpret_cast<std::atomic<uint64_t>*>(memory + at));
    }
    uint32_t first = 0;
    vmm::KvmWatches::Prepared prepared;
    if (!cells.Create({1}).ok() || !cells.Reserve(kinds.data(), static_cast<uint32_t>(kinds.size()), &first).ok()) return;
    cells.Publish();
    if (!vmm::KvmWatches::Prepare(fd, metrics, kinds, &prepared).ok()) return;
    watches.Begin(vmm::KvmWatches::kVm, std::move(prepared));
    is_ready = true;
  }

  // Adds 1 to the first `count` counters.
  void Count(size_t count) {
    for (size_t i = 0; i < count && i < counters.size(); i++) counters[i]->fetch_add(1, std::memory_order_relaxed);
  }
  bool ReadAll() { return pread(fd, buffer, end - begin, static_cast<off_t>(begin)) > 0; }

  int fd = -1;
  char* memory = nullptr;
  uint64_t begin = ~uint64_t{0}, end = 0;
  std::vector<std::atomic<uint64_t>*> counters;
  vmm::Cells cells;
  vmm::KvmSamples samples;
  vmm::KvmWatches watches{samples, cells};
  bool is_ready = false;
  alignas(64) char buffer[1 << 16];
};

// sampleKvmNs(bytes, changes, times): nanoseconds that a sample of the descriptor with these bytes takes beyond one
// pread of it, the difference of two medians. Before each of them, `changes` of its counters go up by 1. -1: these
// bytes are no descriptor.
Napi::Value SampleKvmNs(const Napi::CallbackInfo& info) {
  const Napi::Uint8Array bytes = info[0].As<Napi::Uint8Array>();
  static Bench* bench = new Bench(std::vector<char>(bytes.Data(), bytes.Data() + bytes.ByteLength()));
  const size_t changes = info[1].As<Napi::Number>().Uint32Value();
  const int times = info[2].As<Napi::Number>().Int32Value();
  if (!bench->is_ready) return Napi::Number::New(info.Env(), -1);
  constexpr int kRun = 16;
  const auto timed = [](auto work) {
    const uint64_t began = vmm::MonotonicNs();
    for (int i = 0; i < kRun; i++) work();
    return static_cast<double>(vmm::MonotonicNs() - began) / kRun;
  };
  // In short turns, so that both have the same machine, and that a turn without the processor can be told apart.
  std::vector<double> sampled, read;
  for (int i = 0; i < times || i == 0; i += kRun) {
    sampled.push_back(timed([&] {
      bench->Count(changes);
      bench->samples.Sample();
    }));
    read.push_back(timed([&] {
      bench->Count(changes);
      bench->ReadAll();
    }));
  }
  const auto median = [](std::vector<double>& all) {
    std::nth_element(all.begin(), all.begin() + static_cast<ptrdiff_t>(all.size() / 2), all.end());
    return all[all.size() / 2];
  };
  return Napi::Number::New(info.Env(), median(sampled) - median(read));
}

}  // namespace

void DefineKvm(Napi::Env env, Napi::Object exports) { exports["sampleKvmNs"] = Napi::Function::New(env, SampleKvmNs); }

// KvmStatistics: what a statistics descriptor says, and what is refused.

#include <fcntl.h>

#include <functional>
#include <string>
#include <vector>

#include "check.h"
#include "kvm/statistics.h"
#include "kvm_bytes.h"
#include "tiny_vm.h"

namespace vmm {
namespace {

const std::vector<KvmByte> kSome = {{"exits"}, {"blocking", kInstantFlags | 0x40}, {"hist", kLogFlags | 0x20, -9, 32}};

TEST("given a descriptor, when it is read, then it says what the kernel wrote, and where") {
  const KvmBytes bytes(kSome);
  KvmStatistics statistics;
  CHECK(KvmStatistics::Read(bytes.fd(), &statistics).ok());
  CHECK_EQ(statistics.id, std::string("kvm-1/vcpu-0"));
  if (!CHECK_EQ(statistics.all.size(), 3u)) return;
  CHECK_EQ(statistics.all[0].name, std::string("exits"));
  CHECK_EQ(statistics.all[1].type, KvmType::kInstant);
  CHECK_EQ(statistics.all[1].unit, KvmUnit::kBoolean);
  CHECK_EQ(statistics.all[1].offset, 8u);
  CHECK_EQ(statistics.all[2].type, KvmType::kLogHistogram);
  CHECK_EQ(statistics.all[2].exponent, -9);
  CHECK_EQ(statistics.all[2].size, 32u);
}

TEST("given bytes that no kernel writes, when they are read, then each is refused with a reason of its own") {
  const struct {
    const char* reason;
    std::function<void(const KvmBytes&)> spoil;
  } cases[] = {
      {"is too short for the header", [](const KvmBytes& b) { CHECK_EQ(ftruncate(b.fd(), 23), 0); }},
      {"names have a length", [](const KvmBytes& b) { b.PutHeader(1, 0); }},
      {"names have a length", [](const KvmBytes& b) { b.PutHeader(1, ~0u); }},
      {"has no statistics, or more", [](const KvmBytes& b) { b.PutHeader(2, 0); }},
      {"has no statistics, or more", [](const KvmBytes& b) { b.PutHeader(2, ~0u); }},
      {"inside its header", [](const KvmBytes& b) { b.PutHeader(3, 0); }},
      {"inside its header", [](const KvmBytes& b) { b.PutHeader(4, 23); }},
      {"inside its header", [](const KvmBytes& b) { b.PutHeader(5, 8); }},
      {"in the middle of its id", [](const KvmBytes& b) { b.PutHeader(3, ~0u); }},
      {"an id without an end", [](const KvmBytes& b) { memset(b.bytes() + 24, 'x', KvmBytes::kNameBytes); }},
      {"in the middle of the list", [](const KvmBytes& b) { b.PutHeader(4, ~0u); }},
      {"beyond the end of its data", [](const KvmBytes& b) { b.PutHeader(5, ~0u); }},
      {"a name without an end", [](const KvmBytes& b) { memset(b.At(1) + 16, 'x', KvmBytes::kNameBytes); }},
      {"whose name no metric can have", [](const KvmBytes& b) { b.At(1)[16] = 0; }},
      {"whose name no metric can have", [](const KvmBytes& b) { b.At(1)[16] = '7'; }},
      {"whose name no metric can have", [](const KvmBytes& b) { b.At(1)[17] = '"'; }},
      {"whose name no metric can have", [](const KvmBytes& b) { b.At(1)[17] = '\xff'; }},
      {"two statistics of one name", [](const KvmBytes& b) { strcpy(b.At(1) + 16, "exits"); }},
      {"without a value", [](const KvmBytes& b) { b.Put<uint16_t>(1, 6, 0); }},
      {"not begin at a 64-bit word", [](const KvmBytes& b) { b.Put<uint32_t>(1, 8, 4); }},
      {"beyond the end of its data", [](const KvmBytes& b) { b.Put<uint32_t>(1, 8, KvmBytes::kBytes); }},
      {"beyond the end of its data", [](const KvmBytes& b) { b.Put<uint32_t>(1, 8, 0xfffffff8u); }},
      {"beyond the end of its data", [](const KvmBytes& b) { b.Put<uint16_t>(2, 6, 0xffff); }},
  };
  for (const auto& c : cases) {
    const KvmBytes bytes(kSome);
    c.spoil(bytes);
    KvmStatistics statistics;
    const Status status = KvmStatistics::Read(bytes.fd(), &statistics);
    CHECK_EQ(status.code, Code::kWrongFile);
    if (!CHECK(std::string(status.reason).find(c.reason) != std::string::npos)) std::printf("    %s\n", status.reason);
  }
}

TEST("given types, units and exponents, when metrics are made of them, then each has its kind, its unit and its factor") {
  const struct {
    uint32_t flags;
    int16_t exponent;
    uint16_t size;
    KvmMetricShape::Kind kind;
    const char* unit;
    uint64_t factor;
    const char* left_out;
  } cases[] = {
      {0x000, 0, 1, KvmMetricShape::kCounter, "count", 1, ""},
      {0x001, 0, 1, KvmMetricShape::kGauge, "count", 1, ""},
      {0x002, 0, 1, KvmMetricShape::kGauge, "count", 1, ""},
      {0x041, 0, 1, KvmMetricShape::kGauge, "count", 1, ""},
      {0x030, 6, 1, KvmMetricShape::kCounter, "count", 1'000'000, ""},
      {0x020, -9, 1, KvmMetricShape::kCounter, "ns", 1, ""},
      {0x020, -8, 1, KvmMetricShape::kCounter, "ns", 10, ""},
      {0x020, -6, 1, KvmMetricShape::kCounter, "us", 1, ""},
      {0x020, -3, 1, KvmMetricShape::kCounter, "ms", 1, ""},
      {0x020, 0, 1, KvmMetricShape::kCounter, "ms", 1000, ""},
      {0x120, 0, 1, KvmMetricShape::kCounter, "ms", 1000, ""},
      {0x110, 0, 1, KvmMetricShape::kCounter, "bytes", 1, ""},
      {0x111, 10, 1, KvmMetricShape::kGauge, "bytes", 1024, ""},
      {0x011, 3, 1, KvmMetricShape::kGauge, "bytes", 1000, ""},
      {0x003, 0, 8, KvmMetricShape::kNone, "count", 1, "it is a histogram, whose buckets are not those of histogram()"},
      {0x004, 0, 8, KvmMetricShape::kNone, "count", 1, "it is a histogram, whose buckets are not those of histogram()"},
      {0x005, 0, 1, KvmMetricShape::kNone, "count", 1, "its type is unknown"},
      {0x000, 0, 2, KvmMetricShape::kNone, "count", 1, "it has several values"},
      {0x050, 0, 1, KvmMetricShape::kNone, "count", 1, "its unit is unknown"},
      {0x200, 0, 1, KvmMetricShape::kNone, "count", 1, "the base of its unit is unknown"},
      {0x120, 1, 1, KvmMetricShape::kNone, "count", 1, "its unit is a power of two of a second"},
      {0x020, -10, 1, KvmMetricShape::kNone, "count", 1, "its unit is finer than that of any metric"},
      {0x110, -1, 1, KvmMetricShape::kNone, "count", 1, "its unit is finer than that of any metric"},
      {0x000, 32767, 1, KvmMetricShape::kNone, "count", 1, "its unit is too large"},
      {0x100, -32768, 1, KvmMetricShape::kNone, "count", 1, "its unit is finer than that of any metric"},
  };
  for (const auto& c : cases) {
    const KvmBytes bytes({{"one", c.flags, c.exponent, c.size}});
    KvmStatistics statistics;
    if (!CHECK(KvmStatistics::Read(bytes.fd(), &statistics).ok())) continue;
    const KvmMetricShape shape = ShapeOf(statistics.all[0]);
    CHECK_EQ(shape.kind, c.kind);
    CHECK_EQ(std::string(shape.left_out), std::string(c.left_out));
    if (c.kind == KvmMetricShape::kNone) continue;
    CHECK_EQ(std::string(shape.unit), std::string(c.unit));
    CHECK_EQ(shape.factor, c.factor);
  }
}

TEST("given descriptors of other things, when their statistics are opened, then each is refused") {
  int ends[2];
  CHECK_EQ(pipe(ends), 0);
  const int folder = open("/", O_RDONLY);
  OpenedKvmStatistics opened;
  CHECK_EQ(OpenKvmStatistics(ends[0], &opened).code, Code::kWrongFile);
  CHECK_EQ(OpenKvmStatistics(folder, &opened).code, Code::kOpen);
  close(ends[0]);
  CHECK_EQ(OpenKvmStatistics(ends[0], &opened).error, EBADF);
  close(ends[1]);
  close(folder);
}

TEST("given a running VM, when its statistics are opened by the VM, the vCPU and their descriptors, then all agree") {
  const std::string problem = TinyVm::Problem();
  if (!problem.empty()) {
    std::printf("    skipped: %s\n", problem.c_str());
    CHECK(true);
    return;
  }
  const TinyVm vm(1);
  CHECK(vm.Run(0, 100));
  OpenedKvmStatistics of_vm, of_vcpu, own_vm, own_vcpu, again;
  const Status status = OpenKvmStatistics(vm.vcpu(0), &of_vcpu);
  if (status.code == Code::kNoStatistics) {
    std::printf("    skipped: this kernel has no statistics descriptors\n");
    CHECK_EQ(OpenOwnKvmStatistics(&own_vm, &own_vcpu).code, Code::kNoStatistics);
    return;
  }
  CHECK(status.ok());
  CHECK(of_vcpu.object.is_open());
  CHECK(OpenKvmStatistics(vm.vm(), &of_vm).ok());
  CHECK(OpenOwnKvmStatistics(&own_vm, &own_vcpu).ok());
  CHECK(OpenKvmStatistics(of_vcpu.statistics.get(), &again).ok());
  KvmStatistics a, b;
  CHECK(KvmStatistics::Read(of_vcpu.statistics.get(), &a).ok());
  CHECK(KvmStatistics::Read(own_vcpu.statistics.get(), &b).ok());
  CHECK_EQ(a.all.size(), b.all.size());
  CHECK(fcntl(again.statistics.get(), F_GETFD) & FD_CLOEXEC);
  CHECK(fcntl(of_vcpu.statistics.get(), F_GETFD) & FD_CLOEXEC);
  for (const KvmStatistic& one : a.all) {
    if (one.name != "exits") continue;
    uint64_t exits = 0;
    CHECK_EQ(pread(again.statistics.get(), &exits, sizeof(exits), a.data_offset + one.offset), 8);
    CHECK(exits >= 100);
  }
}

}  // namespace
}  // namespace vmm

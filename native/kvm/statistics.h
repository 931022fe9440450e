// KvmStatistics is what KVM says about one of its statistics descriptors: which numbers the descriptor has, and where
// in it they are. The layout is that of KVM_GET_STATS_FD in the kernel's documentation of the KVM API:
//
//   header ── id ── one descriptor for each number ── data: one or more 64-bit words for each number
//
// Thread-safety:       plain values; the functions have no state.
// Async-signal-safety: none.
// Lifetime:            values. Only OpenedKvmStatistics has descriptors.
// Units:               offsets are in bytes from the beginning of the descriptor, or of its data.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/owned_descriptor.h"
#include "base/status.h"

namespace vmm {

// The numbers are those of the kernel.
enum class KvmType : uint8_t { kCumulative, kInstant, kPeak, kLinearHistogram, kLogHistogram };
enum class KvmUnit : uint8_t { kNone, kBytes, kSeconds, kCycles, kBoolean };
enum class KvmBase : uint8_t { kTen, kTwo };

struct KvmStatistic {
  std::string name;
  // Types, units and bases that are not listed above come from a newer kernel. A metric is made of none of them.
  KvmType type = KvmType::kCumulative;
  KvmUnit unit = KvmUnit::kNone;
  KvmBase base = KvmBase::kTen;
  int16_t exponent = 0;      // a value counts units of base^exponent
  uint16_t size = 1;         // how many words it has
  uint32_t offset = 0;       // of its first word, in the data; a multiple of 8
  uint32_t bucket_size = 0;  // of a linear histogram
};

struct KvmStatistics {
  std::string id;  // what KVM calls the VM or vCPU, such as "kvm-1234/vcpu-0"
  uint32_t data_offset = 0;
  std::vector<KvmStatistic> all;

  // Reads and checks the statistics descriptor `fd`. kOpen: it cannot be read. kWrongFile: `reason` says what is wrong
  // with its bytes.
  static Status Read(int fd, KvmStatistics* out);
};

// The metric that a statistic becomes.
struct KvmMetricShape {
  enum Kind { kCounter, kGauge, kNone };
  Kind kind = kNone;
  const char* unit = "count";  // a literal: a unit of the schema
  uint64_t factor = 1;         // the metric is the value times this
  const char* left_out = "";   // of kNone, a literal: why there is no such metric
};
KvmMetricShape ShapeOf(const KvmStatistic& statistic);

// A statistics descriptor with the VM or vCPU that it is about. Before Linux 6.5, the kernel itself reads freed memory
// if the VM is gone, so the VM or vCPU stays open as long as its statistics.
struct OpenedKvmStatistics {
  OwnedDescriptor object;  // not open if the caller had only the statistics descriptor
  OwnedDescriptor statistics;
};

// Opens the statistics of `fd`, which is a statistics descriptor, a VM or a vCPU. All descriptors are duplicates with
// CLOEXEC. kNoStatistics: the kernel gives no statistics of its VMs and vCPUs. kWrongFile: `fd` is something else.
// kOpen: `fd` is not open, or KVM refuses, as it does in another process than the VM's.
Status OpenKvmStatistics(int fd, OpenedKvmStatistics* opened);

// Makes a VM with one vCPU, and opens the statistics of both. kNoStatistics: this machine has no KVM that this process
// may use, or its kernel gives no statistics.
Status OpenOwnKvmStatistics(OpenedKvmStatistics* vm, OpenedKvmStatistics* vcpu);

}  // namespace vmm

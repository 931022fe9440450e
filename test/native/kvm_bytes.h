// A KvmBytes is a memfd that plays one of KVM's statistics descriptors: pread works on both alike. A test can change
// every byte, and count while the descriptor is read.
//
// Thread-safety:       any thread may use Word; one thread at a time the rest.
// Async-signal-safety: none.
// Lifetime:            the memfd and its mapping are its own.

#pragma once

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "check.h"
#include "store/store_spec.h"

namespace vmm {

struct KvmByte {
  std::string name;
  uint32_t flags = 0;  // the type, the unit << 4 and the base << 8, with the kernel's numbers
  int16_t exponent = 0;
  uint16_t size = 1;
};

constexpr uint32_t kCounterFlags = 0x0, kInstantFlags = 0x1, kPeakFlags = 0x2, kLinearFlags = 0x3, kLogFlags = 0x4;

class KvmBytes {
 public:
  static constexpr uint32_t kNameBytes = 48, kDescriptorBytes = 16 + kNameBytes, kDescriptors = 24 + kNameBytes;
  static constexpr size_t kBytes = 1 << 16;

  explicit KvmBytes(const std::vector<KvmByte>& statistics, const std::string& id = "kvm-1/vcpu-0") : statistics_(statistics) {
    fd_ = memfd_create("kvm", MFD_CLOEXEC);
    CHECK_EQ(ftruncate(fd_, kBytes), 0);
    bytes_ = static_cast<char*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0));
    const uint32_t count = static_cast<uint32_t>(statistics.size());
    // A word's place in a cache line is another than the place that a reader's buffer begins at.
    data_ = (kDescriptors + count * kDescriptorBytes + 63) / 64 * 64 + 8;
    const uint32_t header[] = {0, kNameBytes, count, 24, kDescriptors, data_};
    memcpy(bytes_, header, sizeof(header));
    strcpy(bytes_ + 24, id.c_str());
    uint32_t offset = 0;
    for (uint32_t i = 0; i < count; i++) {
      const KvmByte& one = statistics[i];
      Put(i, 0, one.flags);
      Put(i, 4, one.exponent);
      Put(i, 6, one.size);
      Put(i, 8, offset);
      strcpy(At(i) + 16, one.name.c_str());
      offset += one.size * 8u;
    }
  }
  ~KvmBytes() {
    munmap(bytes_, kBytes);
    close(fd_);
  }
  KvmBytes(const KvmBytes&) = delete;
  KvmBytes& operator=(const KvmBytes&) = delete;

  int fd() const { return fd_; }
  char* bytes() const { return bytes_; }
  // The bytes of a statistic's descriptor.
  char* At(uint32_t index) const { return bytes_ + kDescriptors + index * kDescriptorBytes; }
  template <typename T>
  void Put(uint32_t index, uint32_t place, T value) const {
    memcpy(At(index) + place, &value, sizeof(value));
  }
  void PutHeader(uint32_t word, uint32_t value) const { memcpy(bytes_ + 4 * word, &value, sizeof(value)); }

  // The first word of the statistic of that name.
  std::atomic<uint64_t>& Word(const std::string& name) const {
    for (uint32_t i = 0; i < statistics_.size(); i++) {
      if (statistics_[i].name != name) continue;
      uint32_t offset = 0;
      memcpy(&offset, At(i) + 8, sizeof(offset));
      return *reinterpret_cast<std::atomic<uint64_t>*>(bytes_ + data_ + offset);
    }
    CHECK(!"the statistic exists");
    return *reinterpret_cast<std::atomic<uint64_t>*>(bytes_);
  }
  void Set(const std::string& name, uint64_t value) const { Word(name).store(value, std::memory_order_relaxed); }

 private:
  std::vector<KvmByte> statistics_;
  int fd_ = -1;
  char* bytes_ = nullptr;
  uint32_t data_ = 0;
};

// Marks the metrics of the group `vm` as those of a VM, and those of the first group of devices as those of a vCPU.
inline StoreSpec WithKvm(StoreSpec spec, const std::string& vm) {
  for (const NamedMetric& metric : spec.metrics) {
    if (metric.name.compare(0, vm.size() + 1, vm + ".") == 0)
      spec.kvm_vm.push_back({metric.name.substr(vm.size() + 1), metric.cell});
  }
  if (!spec.group_metrics.empty()) {
    for (const NamedMetric& metric : spec.group_metrics[0]) spec.kvm_vcpu.push_back({metric.name, metric.cell});
    spec.kvm_vcpu_group = 0;
  }
  return spec;
}

}  // namespace vmm

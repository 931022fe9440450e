// Limits the guest's rate of exits: the vCPU thread sleeps while the guest is ahead of the rate.
//
// Thread-safety: the vCPU thread only.
// Units:         exits per second; 0 means no limit.

#pragma once

#include <chrono>
#include <cstdint>

#include "mailbox.h"

namespace kvm_vmm {

class Pacer {
 public:
  explicit Pacer(uint32_t exits_per_second) : rate_(exits_per_second) {}

  // Sleeps if the guest is ahead, in slices short enough to notice a requested stop.
  void AfterExit(const Mailbox& mailbox);

 private:
  using Clock = std::chrono::steady_clock;

  const uint32_t rate_;
  uint64_t exits_ = 0;  // since start_
  Clock::time_point start_ = Clock::now();
};

}  // namespace kvm_vmm

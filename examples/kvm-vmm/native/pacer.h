// Keeps the guest from using a whole core: the vCPU thread sleeps as long as the guest is ahead of its rate.
//
// Thread-safety: the vCPU thread only.
// Units:         exits per second; 0 is as fast as it goes.

#pragma once

#include <chrono>
#include <cstdint>

#include "mailbox.h"

namespace kvm_vmm {

class Pacer {
 public:
  explicit Pacer(uint32_t exits_per_second) : rate_(exits_per_second) {}

  // Sleeps when the guest is ahead, in slices short enough for a stop to be seen.
  void AfterExit(const Mailbox& mailbox);

 private:
  using Clock = std::chrono::steady_clock;

  const uint32_t rate_;
  uint64_t exits_ = 0;  // since start_
  Clock::time_point start_ = Clock::now();
};

}  // namespace kvm_vmm

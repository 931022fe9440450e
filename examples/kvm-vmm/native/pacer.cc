#include "pacer.h"

#include <algorithm>
#include <thread>

namespace kvm_vmm {

namespace {
constexpr std::chrono::milliseconds kSlice(5);
constexpr std::chrono::milliseconds kCatchUp(20);  // a guest that is further behind does not catch up
}  // namespace

void Pacer::AfterExit(const Mailbox& mailbox) {
  if (rate_ == 0) return;
  // Reads the clock and sleeps once per millisecond of exits, not once per exit.
  const uint64_t exits_per_check = std::max<uint64_t>(1, rate_ / 1000);
  if (++exits_ % exits_per_check != 0) return;
  const Clock::time_point due = start_ + std::chrono::microseconds(exits_ * 1'000'000 / rate_);
  if (Clock::now() > due + kCatchUp) {
    start_ = Clock::now();
    exits_ = 0;
    return;
  }
  while (!mailbox.stop_requested()) {
    const auto ahead = due - Clock::now();
    if (ahead <= Clock::duration::zero()) return;
    std::this_thread::sleep_for(std::min<Clock::duration>(ahead, kSlice));
  }
}

}  // namespace kvm_vmm

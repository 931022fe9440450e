// A Histogram counts values by size. Each power of two is divided into 32 steps, so a quantile is at most one part in
// 32 below the exact value. The largest value is exact.
//
// Thread-safety:       one thread at a time.
// Async-signal-safety: safe; no allocation.
// Units:               chosen by the caller; this file never converts.

#pragma once

#include <cstddef>
#include <cstdint>

namespace vmm {

class Histogram {
 public:
  void Record(uint64_t value) {
    counts_[StepOf(value)]++;
    total_++;
    if (value > max_) max_ = value;
  }

  uint64_t max() const { return max_; }

  // The lower end of the step that contains the quantile part/whole; 0 when there are no values.
  uint64_t Quantile(uint64_t part, uint64_t whole) const {
    if (total_ == 0) return 0;
    // Round up: half of 3 values is 2 values.
    const uint64_t rank = (total_ * part + whole - 1) / whole;
    uint64_t below = 0;
    for (size_t step = 0; step < kSteps; step++) {
      below += counts_[step];
      if (below >= rank && counts_[step] != 0) return LowerEndOf(step);
    }
    return max_;
  }

 private:
  static constexpr unsigned kShift = 5;
  static constexpr uint64_t kStepsEach = uint64_t{1} << kShift;
  static constexpr size_t kSteps = (64 - kShift + 1) << kShift;

  // Each value below kStepsEach has its own step. For a larger value, the bits after its leading 1 select the step.
  static size_t StepOf(uint64_t value) {
    if (value < kStepsEach) return static_cast<size_t>(value);
    const unsigned shift = 63 - static_cast<unsigned>(__builtin_clzll(value)) - kShift;
    return static_cast<size_t>(((shift + 1) << kShift) + ((value >> shift) - kStepsEach));
  }
  static uint64_t LowerEndOf(size_t step) {
    if (step < kStepsEach) return step;
    const uint64_t shift = (step >> kShift) - 1;
    return ((step & (kStepsEach - 1)) + kStepsEach) << shift;
  }

  uint64_t counts_[kSteps] = {};
  uint64_t total_ = 0;
  uint64_t max_ = 0;
};

}  // namespace vmm

// A Filling copies the text of a range and replaces its zeros by numbers.
//
// Thread-safety:       one thread.
// Async-signal-safety: safe.
// Lifetime:            the end of the text is copied when the object goes out of scope.

#pragma once

#include <cstddef>
#include <cstdint>

#include "base/raw_writer.h"
#include "flush/line_template.h"

namespace vmm {

class Filling {
 public:
  Filling(const RangeTemplate& range, RawWriter& out) : range_(range), out_(out) {}
  ~Filling() { CopyTo(range_.bytes); }
  Filling(const Filling&) = delete;
  Filling& operator=(const Filling&) = delete;

  // Called in the order of the slots.
  void Put(uint32_t slot, uint64_t number) {
    CopyTo(range_.places[slot]);
    out_.Number(number);
    copied_++;
  }
  // For a number that may be negative.
  void PutSigned(uint32_t slot, int64_t number) {
    CopyTo(range_.places[slot]);
    if (number < 0) out_.Char('-');
    out_.Number(static_cast<uint64_t>(number < 0 ? -number : number));
    copied_++;
  }
  void PutList(uint32_t slot, const uint64_t* numbers, size_t count) {
    CopyTo(range_.places[slot]);
    out_.List(numbers, count);
  }
  // Copies the text before an instruction that writes no number.
  void CopyUpTo(uint32_t slot) { CopyTo(range_.places[slot]); }

 private:
  void CopyTo(size_t place) {
    out_.PaddedText(range_.text + copied_, place - copied_);
    copied_ = place;
  }

  const RangeTemplate& range_;
  RawWriter& out_;
  size_t copied_ = 0;
};

}  // namespace vmm

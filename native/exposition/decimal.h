// Whole numbers of a small unit as exact decimals of a larger one: 41 microseconds are 0.000041 seconds. No digit goes
// through floating point.
//
// Thread-safety:       one thread at a time for each writer.
// Async-signal-safety: none is asked for.

#pragma once

#include <cstddef>
#include <cstdint>

#include "base/raw_writer.h"
#include "exposition/families.h"

namespace vmm {

// The most bytes that WriteDecimal writes: 20 digits and a point, or `0.` and kDecimalsMax digits.
constexpr size_t kDecimalBytesMax = 21;

// Writes value / 10^decimals; `decimals` is at most kDecimalsMax. Zeros at the end of a fraction are left out, and so
// is a fraction of zero.
inline void WriteDecimal(RawWriter& out, uint64_t value, uint32_t decimals) {
  if (decimals == 0 || value == 0) return out.Number(value);
  uint64_t one = 1;
  for (uint32_t i = 0; i < decimals; i++) one *= 10;
  out.Number(value / one);
  uint64_t rest = value % one;
  if (rest == 0) return;
  char fraction[1 + kDecimalsMax];
  fraction[0] = '.';
  for (uint32_t i = decimals; i > 0; i--, rest /= 10) fraction[i] = static_cast<char>('0' + rest % 10);
  size_t bytes = 1 + decimals;
  while (fraction[bytes - 1] == '0') bytes--;
  out.Text(fraction, bytes);
}

}  // namespace vmm

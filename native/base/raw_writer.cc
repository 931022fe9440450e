#include "base/raw_writer.h"

namespace vmm {

namespace {

// The digits of each number below 1,000 with a comma behind them, as four bytes in the order of the text.
struct Listed {
  uint32_t texts[1'000];
};

constexpr Listed MakeListed() {
  Listed listed = {};
  for (uint32_t number = 0; number < 1'000; number++) {
    uint32_t text = ',';
    uint32_t rest = number;
    do {
      text = text << 8 | ('0' + rest % 10);
      rest /= 10;
    } while (rest != 0);
    listed.texts[number] = text;
  }
  return listed;
}

constexpr Listed kListed = MakeListed();

}  // namespace

void RawWriter::List(const uint64_t* numbers, size_t count) {
  if (count == 0) return;
  if (room() < count * (kNumberBytesMax + 1)) {
    for (size_t i = 0; i < count; i++) {
      if (i != 0) Char(',');
      Number(numbers[i]);
    }
    return;
  }
  char* at = at_;
  for (size_t i = 0; i < count; i++) {
    const uint64_t number = numbers[i];
    // Many numbers are short, and neighbours have different lengths, so no branch depends on these lengths.
    if (number < 1'000) {
      std::memcpy(at, &kListed.texts[number], sizeof(kListed.texts[number]));
      at += 2 + (number >= 10) + (number >= 100);
    } else {
      at += WriteDigits(at, number);
      *at++ = ',';
    }
  }
  at_ = at - 1;  // without the last comma
}

}  // namespace vmm

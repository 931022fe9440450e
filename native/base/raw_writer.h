// A RawWriter appends text and numbers to a buffer of fixed size. A text or number that does not fit is left out whole,
// and overflowed() is true from then on.
//
// Thread-safety:       one thread at a time.
// Async-signal-safety: safe; no allocation, no locale, no errno.
// Units:               bytes.
// Lifetime:            the buffer is the caller's, and outlives the writer.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace vmm {

constexpr size_t kNumberBytesMax = 20;

class RawWriter {
 public:
  // Behind a text for PaddedText, this many more bytes must be readable.
  static constexpr size_t kPadding = 32;

  RawWriter(char* buffer, size_t bytes) : begin_(buffer), at_(buffer), end_(buffer + bytes) {}

  void Text(const char* text, size_t bytes) {
    if (bytes > room()) {
      overflowed_ = true;
      return;
    }
    std::memcpy(at_, text, bytes);
    at_ += bytes;
  }

  // Does what Text does, but faster for a short text, which is copied in pieces of kPadding bytes.
  void PaddedText(const char* text, size_t bytes) {
    if (bytes > kShortBytesMax || room() < kShortBytesMax + kPadding) return Text(text, bytes);
    for (size_t copied = 0; copied < bytes; copied += kPadding) std::memcpy(at_ + copied, text + copied, kPadding);
    at_ += bytes;
  }

  void Char(char c) { Text(&c, 1); }

  void Number(uint64_t value) {
    if (room() < kNumberBytesMax) {
      char digits[kNumberBytesMax];
      return Text(digits, WriteDigits(digits, value));
    }
    at_ += WriteDigits(at_, value);
  }

  size_t size() const { return static_cast<size_t>(at_ - begin_); }
  bool overflowed() const { return overflowed_; }

 private:
  static constexpr size_t kShortBytesMax = 4 * kPadding;

  size_t room() const { return static_cast<size_t>(end_ - at_); }

  static size_t DigitCount(uint64_t value) {
    size_t count = 1;
    for (; value >= 10'000; value /= 10'000) count += 4;
    return count + (value >= 10) + (value >= 100) + (value >= 1'000);
  }

  // Writes two digits at a time. `to` has room for all of them. Returns the number of digits.
  static size_t WriteDigits(char* to, uint64_t value) {
    if (value < 10) {  // most numbers in a line have one digit
      to[0] = static_cast<char>('0' + value);
      return 1;
    }
    const size_t count = DigitCount(value);
    char* at = to + count;
    for (; at - to >= 2; value /= 100) {
      const auto pair = static_cast<uint32_t>(value % 100);
      at -= 2;
      at[0] = static_cast<char>('0' + pair / 10);
      at[1] = static_cast<char>('0' + pair % 10);
    }
    if (at != to) to[0] = static_cast<char>('0' + value);
    return count;
  }

  char* const begin_;
  char* at_;
  char* const end_;
  bool overflowed_ = false;
};

}  // namespace vmm

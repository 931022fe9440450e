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
    if (value < 10) {  // most numbers in a line have one digit
      *at_++ = static_cast<char>('0' + value);
    } else {
      at_ += WriteDigits(at_, value);
    }
  }

  // Numbers with commas between them.
  void List(const uint64_t* numbers, size_t count);

  size_t size() const { return static_cast<size_t>(at_ - begin_); }
  bool overflowed() const { return overflowed_; }

 private:
  static constexpr size_t kShortBytesMax = 4 * kPadding;

  size_t room() const { return static_cast<size_t>(end_ - at_); }

  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

  // The four digits of a number below 10,000, as four bytes in the order of the text. No branch, no division.
  static uint32_t FourDigits(uint32_t value) {
    const uint32_t high = value * 5243 >> 19;  // value / 100
    const uint32_t pairs = high | (value - 100 * high) << 16;
    const uint32_t tens = (pairs * 103 >> 10) & 0x000f000f;  // of both pairs
    return 0x30303030u + tens + ((pairs - 10 * tens) << 8);
  }

  // Writes the digits of a number below 10,000, and perhaps up to three more bytes. Returns the number of digits.
  static size_t WriteShort(char* to, uint32_t value) {
    const size_t count = 1 + (value >= 10) + (value >= 100) + (value >= 1'000);
    const uint32_t digits = FourDigits(value) >> (8 * (4 - count));
    std::memcpy(to, &digits, sizeof(digits));
    return count;
  }

  // `to` has room for kNumberBytesMax. Returns the number of digits.
  static size_t WriteDigits(char* to, uint64_t value) {
    if (value < 10'000) return WriteShort(to, static_cast<uint32_t>(value));
    const size_t count = WriteDigits(to, value / 10'000);
    const uint32_t digits = FourDigits(static_cast<uint32_t>(value % 10'000));
    std::memcpy(to + count, &digits, sizeof(digits));
    return count + sizeof(digits);
  }

  char* const begin_;
  char* at_;
  char* const end_;
  bool overflowed_ = false;
};

}  // namespace vmm

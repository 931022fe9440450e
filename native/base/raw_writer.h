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

class RawWriter {
 public:
  RawWriter(char* buffer, size_t bytes) : begin_(buffer), at_(buffer), end_(buffer + bytes) {}

  void Text(const char* text, size_t bytes) {
    if (bytes > static_cast<size_t>(end_ - at_)) {
      overflowed_ = true;
      return;
    }
    std::memcpy(at_, text, bytes);
    at_ += bytes;
  }

  void Char(char c) { Text(&c, 1); }

  void Number(uint64_t value) {
    if (value < 10) {  // most numbers in a line are 0
      Char(static_cast<char>('0' + value));
      return;
    }
    char digits[20];  // 2^64-1 has 20
    char* first = digits + sizeof(digits);
    do {
      *--first = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
    Text(first, static_cast<size_t>(digits + sizeof(digits) - first));
  }

  size_t size() const { return static_cast<size_t>(at_ - begin_); }
  bool overflowed() const { return overflowed_; }

 private:
  char* const begin_;
  char* at_;
  char* const end_;
  bool overflowed_ = false;
};

constexpr size_t kNumberBytesMax = 20;

}  // namespace vmm

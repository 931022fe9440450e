// RawWriter: numbers become decimal digits, and a text that does not fit is left out as a whole.

#include "base/raw_writer.h"

#include <memory>
#include <string>
#include <vector>

#include "check.h"

namespace vmm {
namespace {

std::string Written(uint64_t value) {
  char buffer[kNumberBytesMax];
  RawWriter out(buffer, sizeof(buffer));
  out.Number(value);
  CHECK(!out.overflowed());
  return std::string(buffer, out.size());
}

TEST("given numbers of every length, when they are written, then the text has their decimal digits") {
  uint64_t power = 1;
  std::string zeros;
  for (int digits = 1; digits <= 20; digits++, power *= 10, zeros += '0') {
    CHECK_EQ(Written(power), "1" + zeros);
    CHECK_EQ(Written(power - 1), digits == 1 ? "0" : std::string(zeros.size(), '9'));
  }
  CHECK_EQ(Written(9), "9");
  CHECK_EQ(Written(10), "10");
  CHECK_EQ(Written(~uint64_t{0}), "18446744073709551615");
  CHECK_EQ(Written(~uint64_t{0}).size(), kNumberBytesMax);
}

TEST("given all numbers of up to five digits, when they are written, then the text has their decimal digits") {
  for (uint64_t value = 0; value < 100'000; value++) {
    if (!CHECK_EQ(Written(value), std::to_string(value))) break;
  }
}

TEST("given numbers of any lengths, when they are listed, then commas stand between them, in a buffer of any size") {
  const std::vector<std::vector<uint64_t>> lists = {{},
                                                    {0},
                                                    {999, 1000, 9, 10, 99, 100, 9'999, 10'000},
                                                    std::vector<uint64_t>(50, ~uint64_t{0}),
                                                    {1, 22, 333, 4444, 5, ~uint64_t{0}}};
  for (const std::vector<uint64_t>& numbers : lists) {
    std::string expected;
    for (const uint64_t number : numbers) expected += (expected.empty() ? "" : ",") + std::to_string(number);
    // With room for the longest numbers, and with room for this list alone.
    for (const size_t bytes : {numbers.size() * (kNumberBytesMax + 1), expected.size()}) {
      const std::unique_ptr<char[]> buffer(new char[bytes]);  // AddressSanitizer sees a byte beyond
      RawWriter out(buffer.get(), bytes);
      out.List(numbers.data(), numbers.size());
      CHECK(!out.overflowed());
      CHECK_EQ(std::string(buffer.get(), out.size()), expected);
    }
  }
}

TEST("given text that fills the buffer to the last byte, when it is written, then nothing has overflowed") {
  char buffer[6];
  RawWriter out(buffer, sizeof(buffer));
  out.Text("abc", 3);
  out.Char(',');
  out.Number(42);
  CHECK_EQ(std::string(buffer, out.size()), "abc,42");
  CHECK(!out.overflowed());
}

TEST("given too little room, when text or a number is written, then it is left out whole, and the earlier text stays") {
  char buffer[8] = "xxxxxxx";
  RawWriter out(buffer, 4);
  out.Text("ab", 2);
  out.Number(123);
  CHECK(out.overflowed());
  CHECK_EQ(std::string(buffer, out.size()), "ab");
  CHECK_EQ(std::string(buffer + 4, 3), "xxx");

  out.Text("cd", 2);  // text that fits is still written, and the writer remembers the cut
  CHECK_EQ(std::string(buffer, out.size()), "abcd");
  CHECK(out.overflowed());
  CHECK_EQ(std::string(buffer + 4, 3), "xxx");
}

TEST("given no room at all, when text is written, then the writer overflows, except for empty text") {
  char buffer[1] = {'x'};
  RawWriter empty(buffer, 0);
  empty.Text("", 0);
  CHECK(!empty.overflowed());
  empty.Number(0);
  CHECK(empty.overflowed());
  CHECK_EQ(empty.size(), 0);
  CHECK_EQ(std::string(buffer, 1), "x");
}

}  // namespace
}  // namespace vmm

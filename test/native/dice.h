// Dice are the random choices of a test. The same seed repeats them.
//
// Thread-safety:       one thread.
// Async-signal-safety: none.

#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace vmm {

class Dice {
 public:
  explicit Dice(uint32_t seed) : random_(seed) {}
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  bool OneIn(uint32_t n) { return Below(n) == 0; }
  template <typename T>
  const T& OneOf(const std::vector<T>& choices) {
    return choices[Below(static_cast<uint32_t>(choices.size()))];
  }
  // Numbers of every length, and the smallest and largest numbers of a length.
  uint64_t Number() {
    switch (Below(6)) {
      case 0: return 0;
      case 1: return Below(10);
      case 2: return Below(1000);
      case 3: return ~uint64_t{Below(3)};
      case 4: return random_() >> Below(64);
      default: break;
    }
    uint64_t power = 1;
    for (uint32_t digits = Below(20); digits > 0; digits--) power *= 10;
    return power - Below(2);
  }
  std::string Text() {
    std::string text;
    for (uint32_t bytes = OneIn(8) ? Below(300) : Below(40); bytes > 0; bytes--) text += static_cast<char>(' ' + Below(95));
    return text;
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace vmm

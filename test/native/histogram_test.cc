// Histogram: quantiles are close to the exact ones for any values, and the maximum is exact.

#include "base/histogram.h"

#include <algorithm>
#include <vector>

#include "check.h"

namespace vmm {
namespace {

TEST("given no values, when quantiles are asked for, then they are 0") {
  const Histogram histogram;
  CHECK_EQ(histogram.Quantile(1, 2), 0);
  CHECK_EQ(histogram.max(), 0);
}

TEST("given small values, when quantiles are computed, then they are exact") {
  Histogram histogram;
  for (uint64_t value = 1; value <= 31; value++) histogram.Record(value);
  CHECK_EQ(histogram.Quantile(1, 2), 16);
  CHECK_EQ(histogram.Quantile(1, 31), 1);
  CHECK_EQ(histogram.Quantile(1, 1), 31);
}

TEST("given one value of each size, when a quantile is asked for, then it is at most a thirty-second too low") {
  for (unsigned bit = 0; bit < 64; bit++) {
    for (const uint64_t extra : {uint64_t{0}, uint64_t{1}, uint64_t{1} << bit >> 1, (uint64_t{1} << bit) - 1}) {
      const uint64_t value = (uint64_t{1} << bit) + extra;
      Histogram histogram;
      histogram.Record(value);
      const uint64_t got = histogram.Quantile(1, 2);
      CHECK(got <= value && value - got <= value / 32);
      CHECK_EQ(histogram.max(), value);
    }
  }
}

TEST("given many values, when quantiles are asked for, then they are near those of the sorted values") {
  Histogram histogram;
  std::vector<uint64_t> values;
  uint64_t state = 1;
  for (int i = 0; i < 10'000; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    values.push_back(state >> (20 + state % 40));
    histogram.Record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const uint64_t percent : {1, 50, 90, 99}) {
    const uint64_t expected = values[values.size() * percent / 100 - 1];
    const uint64_t got = histogram.Quantile(percent, 100);
    CHECK(got <= expected && expected - got <= expected / 32);
  }
  CHECK_EQ(histogram.max(), values.back());
}

}  // namespace
}  // namespace vmm

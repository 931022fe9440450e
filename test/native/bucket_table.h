// The buckets of a histogram of durations, as lib/histogram makes them for the unit us, without an option: edges at
// 2^(i/8) seconds, from 100 ns on. test/histograms.test.ts compares the buckets of JavaScript with those of the header.
//
// Thread-safety:       plain values.
// Async-signal-safety: none.
// Units:               the edges and the table are in nanoseconds.

#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "store/store_spec.h"

namespace vmm {

constexpr int kBucketScale = 3;
constexpr int32_t kFirstEdge = -187;  // 2^(-187/8) s are 92 ns
constexpr uint32_t kBucketCount = 268;

// The largest value of the bucket.
inline uint64_t UpperEdge(uint32_t bucket) {
  const int32_t index = kFirstEdge + static_cast<int32_t>(bucket);
  const int octave = static_cast<int>(std::floor(index / 8.0));
  return static_cast<uint64_t>(std::floor(std::ldexp(1e9 * std::pow(2.0, (index - 8 * octave) / 8.0), octave)));
}

// The bucket of a value, found by a search along the edges.
inline uint32_t SearchedBucket(uint64_t ns) {
  uint32_t bucket = 0;
  while (bucket + 1 < kBucketCount && ns > UpperEdge(bucket)) bucket++;
  return bucket;
}

inline BucketTable TimeBuckets() {
  constexpr uint32_t kBits = kBucketScale + 1;
  BucketTable table;
  const uint64_t limit = UpperEdge(kBucketCount - 1);
  uint32_t bucket = 0;
  for (uint64_t entry = 0;; entry++) {
    const double start =
        std::ldexp(1 + static_cast<double>(entry % (1 << kBits)) / (1 << kBits), static_cast<int>(entry >> kBits));
    const uint64_t least = static_cast<uint64_t>(std::ceil(start)) - 1;
    if (least > limit) break;
    while (bucket + 1 < kBucketCount && UpperEdge(bucket) < least) bucket++;
    table.entries.push_back((uint64_t{bucket + 1} << VMM_METRICS_VALUE_BITS) - 1 - UpperEdge(bucket));
  }
  table.buckets = {table.entries.data(), limit, 1000, kBucketCount, kBits, kFirstEdge};
  return table;
}

}  // namespace vmm

// A BucketRange says which buckets of a histogram can hold anything: its extremes tell. So a flush need not read the
// others.
//
// A thread raises the extremes before it counts in a bucket. A flush in between sees wider extremes than it needs. On a
// processor that reorders stores, it may also miss a bucket; then the value stays pending until the next flush.
//
// Thread-safety:       plain values.
// Async-signal-safety: safe.
// Units:               the words of a minimum and a maximum are in the unit of the histogram; buckets are counted from
//                      the first one.

#pragma once

#include <cstdint>

#include "../../include/vmm_metrics_histogram.h"

namespace vmm {

using Buckets = vmm_metrics_buckets;

constexpr uint32_t kFirstBucket = VMM_METRICS_FIRST_BUCKET;

struct BucketRange {
  uint32_t begin = 0;
  uint32_t end = 0;  // equal: no bucket

  static BucketRange All(const Buckets& buckets) { return {0, buckets.count}; }

  // `complement` and `max` are the words of the cells of the minimum and the maximum. Timers sort nanoseconds into
  // buckets, and round the extremes down to whole units.
  static BucketRange Of(const Buckets& buckets, uint64_t complement, uint64_t max) {
    if (complement == 0 && max == 0) return {};
    const uint64_t most = vmm_metrics_in_table(&buckets, max);
    const uint64_t rest = buckets.per_unit - 1;
    return {vmm_metrics_bucket_of(&buckets, vmm_metrics_in_table(&buckets, ~complement)),
            vmm_metrics_bucket_of(&buckets, most > ~rest ? most : most + rest) + 1};
  }

  // What both have.
  BucketRange Within(BucketRange other) const {
    const uint32_t from = begin > other.begin ? begin : other.begin, to = end < other.end ? end : other.end;
    return from < to ? BucketRange{from, to} : BucketRange{};
  }
  // What either has, and what is between them.
  BucketRange With(BucketRange other) const {
    if (begin == end) return other;
    if (other.begin == other.end) return *this;
    return {begin < other.begin ? begin : other.begin, end > other.end ? end : other.end};
  }
};

}  // namespace vmm

/* Finds the bucket of a value. vmm_metrics.h includes this file; do not include it yourself.
 *
 * The exponent and the first bits of the mantissa of `value + 1` number the entries of the table. The values of one
 * entry are so few that at most one edge lies among them. An entry is (bucket + 1) * 2^44 - 1 - edge: adding the value
 * carries into the bits above if the value is greater than the edge, so these bits are the bucket. No branch depends on
 * the value. JavaScript uses the same table (lib/histogram/bucket-index.ts).
 *
 * Thread-safety:       any thread; a table never changes.
 * Async-signal-safety: safe.
 * Units:               the table is in nanoseconds for times, otherwise in the unit of the histogram.
 * Lifetime:            a table lives as long as its store.
 */
#ifndef VMM_METRICS_HISTOGRAM_H_
#define VMM_METRICS_HISTOGRAM_H_

#include <stdint.h>

#define VMM_METRICS_VALUE_BITS 44u

/* The cells of a latency or histogram: the complement of the minimum, the maximum, the sum, the count, the buckets. */
#define VMM_METRICS_FIRST_BUCKET 4u

typedef struct vmm_metrics_buckets {
  const uint64_t* table;
  uint64_t limit;         /* larger values count as this one, which is in the last bucket */
  uint32_t per_unit;      /* how many units of the table are one unit of the values */
  uint32_t count;         /* the number of buckets; the first one has the values below the range */
  uint32_t mantissa_bits; /* how many bits of the mantissa are part of an entry's number */
  int32_t first_index;    /* the upper edge of the first bucket is 2^(first_index / 2^scale) in the exported unit */
} vmm_metrics_buckets;

/* The bucket of a value, from 0 to `count` - 1. */
static inline uint32_t vmm_metrics_bucket_of(const vmm_metrics_buckets* buckets, uint64_t value) {
  const uint64_t inside = value < buckets->limit ? value : buckets->limit;
  const uint32_t leading_zeros = (uint32_t)__builtin_clzll(inside + 1);
  const uint64_t mantissa = (inside + 1) << leading_zeros << 1;
  const uint32_t bits = buckets->mantissa_bits;
  const uint64_t entry = ((uint64_t)(63u - leading_zeros) << bits) + (mantissa >> (64u - bits));
  return (uint32_t)((buckets->table[entry] + inside) >> VMM_METRICS_VALUE_BITS);
}

/* A value in the unit of the table; the largest number if it is larger than that. */
static inline uint64_t vmm_metrics_in_table(const vmm_metrics_buckets* buckets, uint64_t value) {
  uint64_t product;
  return __builtin_mul_overflow(value, (uint64_t)buckets->per_unit, &product) ? ~(uint64_t)0 : product;
}

#endif /* VMM_METRICS_HISTOGRAM_H_ */

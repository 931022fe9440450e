/* How values get into the cells of a shard. vmm_metrics.h includes this file; do not include it yourself.
 *
 * Thread-safety:       only the thread that claimed a shard may write through that shard. Any thread may use the shared
 *                      shard.
 * Async-signal-safety: safe, with the shared shard and with a shard that the interrupted thread has claimed.
 * Memory ordering:     relaxed. A cell publishes nothing but itself.
 */
#ifndef VMM_METRICS_WRITE_H_
#define VMM_METRICS_WRITE_H_

/* 1 where an add to a cell of the thread's own is one instruction, which no signal on that thread can split.
 * ThreadSanitizer does not see into assembly, so it gets the atomic operation of other processors. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VMM_METRICS_THREAD_SANITIZER_ 1
#endif
#endif
#if defined(__x86_64__) && defined(__LP64__) && !defined(__SANITIZE_THREAD__) && !defined(VMM_METRICS_THREAD_SANITIZER_)
#define VMM_METRICS_HAS_OWN_ADD_ 1
#else
#define VMM_METRICS_HAS_OWN_ADD_ 0
#endif

/* Adds to a cell that only this thread writes. A signal on this thread either comes before the add or after it, so the
 * signal's handler may add to the same cell. On x86-64 that needs one instruction without a lock prefix. Other
 * processors have no such instruction, so they use an atomic add; the cell is in no other thread's cache, which keeps
 * the add cheap. Relaxed: the cell publishes nothing. */
static inline void vmm_metrics_add_own_(uint64_t* cell, uint64_t n) {
#if VMM_METRICS_HAS_OWN_ADD_
  __asm__ volatile("addq %1, %0" : "+m"(*cell) : "er"(n) : "cc");
#else
  __atomic_fetch_add(cell, n, __ATOMIC_RELAXED);
#endif
}

/* Raises a cell that only this thread writes to `value`, if `value` is larger. A handler on this thread may do the
 * same. Relaxed: the cell publishes nothing. */
static inline void vmm_metrics_raise_own_(uint64_t* cell, uint64_t value) {
  uint64_t now = __atomic_load_n(cell, __ATOMIC_RELAXED);
#if VMM_METRICS_HAS_OWN_ADD_
  while (value > now) {
    unsigned char is_done;
    __asm__ volatile("cmpxchgq %3, %1" : "+a"(now), "+m"(*cell), "=@ccz"(is_done) : "r"(value));
    if (is_done) return;
  }
#else
  while (value > now && !__atomic_compare_exchange_n(cell, &now, value, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
#endif
}

/* Raises a cell of the shared shard. Relaxed: the cell publishes nothing. */
static inline void vmm_metrics_raise_shared_(uint64_t* cell, uint64_t value) {
  uint64_t now = __atomic_load_n(cell, __ATOMIC_RELAXED);
  while (value > now && !__atomic_compare_exchange_n(cell, &now, value, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

/* The cells of a metric in a shard. An empty shard has none, so check `own` before. */
static inline uint64_t* vmm_metrics_cells_(const vmm_metrics_shard* shard, vmm_metrics_metric metric) {
  return (uint64_t*)(void*)(shard->own + metric.offset);
}

/* Adds `n` to an inc metric. The metric wraps at 2^64. */
VMM_METRICS_API void vmm_metrics_add(const vmm_metrics_shard* shard, vmm_metrics_metric metric, uint64_t n) {
  if (shard->number != VMM_METRICS_SHARED_SHARD) {
    vmm_metrics_add_own_(vmm_metrics_cells_(shard, metric), n);
  } else if (shard->own != NULL) {
    __atomic_fetch_add(vmm_metrics_cells_(shard, metric), n, __ATOMIC_RELAXED); /* publishes nothing */
  }
}

/* Sets a store metric. Its only cell is in the shared shard, for all threads. */
VMM_METRICS_API void vmm_metrics_set(const vmm_metrics_shard* shard, vmm_metrics_metric metric, uint64_t value) {
  if (shard->shared == NULL) return;
  __atomic_store_n((uint64_t*)(void*)(shard->shared + metric.offset), value, __ATOMIC_RELAXED); /* publishes nothing */
}

/* Records one duration. `us` goes into the extremes, and `sum_us` is added to the sum. A latency metric has four cells:
 * the complement of the minimum, the maximum, the sum, and the count. With the complement, the 0 of an untouched cell
 * means "none", and 0 us can be a true minimum. */
static inline void vmm_metrics_take_(const vmm_metrics_shard* shard, uint64_t* cells, uint64_t us, uint64_t sum_us) {
  if (shard->number != VMM_METRICS_SHARED_SHARD) {
    vmm_metrics_raise_own_(cells, ~us);
    vmm_metrics_raise_own_(cells + 1, us);
    vmm_metrics_add_own_(cells + 2, sum_us);
    vmm_metrics_add_own_(cells + 3, 1);
  } else {
    vmm_metrics_raise_shared_(cells, ~us);
    vmm_metrics_raise_shared_(cells + 1, us);
    __atomic_fetch_add(cells + 2, sum_us, __ATOMIC_RELAXED); /* publishes nothing */
    __atomic_fetch_add(cells + 3, 1, __ATOMIC_RELAXED);      /* publishes nothing */
  }
}

/* Records one duration in whole microseconds. */
VMM_METRICS_API void vmm_metrics_observe(const vmm_metrics_shard* shard, vmm_metrics_metric metric, uint64_t us) {
  if (shard->own != NULL) vmm_metrics_take_(shard, vmm_metrics_cells_(shard, metric), us, us);
}

/* Nanoseconds in a unit of `unit_ns` for a sum. `count` values came before. A rest of 3 tenths is rounded up in 3 of 10
 * cases, which the golden ratio spreads evenly over all counts: so the sum of any number of durations is right within a
 * few units, even if all of them are shorter than one. */
static inline uint64_t vmm_metrics_sum_(uint64_t ns, uint64_t unit_ns, uint64_t count) {
  const uint64_t turn = (count * 0x9e3779b97f4a7c15u) >> 40;
  return ns / unit_ns + (((ns % unit_ns) << 24) > turn * unit_ns ? 1u : 0u);
}

/* Records one duration in nanoseconds. In the extremes it is rounded down to whole microseconds. */
VMM_METRICS_API void vmm_metrics_observe_ns(const vmm_metrics_shard* shard, vmm_metrics_metric metric, uint64_t ns) {
  if (shard->own == NULL) return;
  uint64_t* cells = vmm_metrics_cells_(shard, metric);
  /* Relaxed: the cell publishes nothing, and any count will do. */
  vmm_metrics_take_(shard, cells, ns / 1000u, vmm_metrics_sum_(ns, 1000u, __atomic_load_n(cells + 3, __ATOMIC_RELAXED)));
}

/* Records a value in the four cells and in its bucket. The extremes come first: a flush reads the buckets between them. */
static inline void vmm_metrics_measure_(const vmm_metrics_shard* shard, const vmm_metrics_histogram* histogram, uint64_t value,
                                        uint64_t added, uint64_t in_table) {
  const uint32_t bucket = VMM_METRICS_FIRST_BUCKET + vmm_metrics_bucket_of(histogram->buckets, in_table);
  if (shard->number != VMM_METRICS_SHARED_SHARD) {
    uint64_t* cells = vmm_metrics_cells_(shard, histogram->cells);
    vmm_metrics_raise_own_(cells, ~value);
    vmm_metrics_raise_own_(cells + 1, value);
    vmm_metrics_add_own_(cells + 2, added);
    vmm_metrics_add_own_(cells + 3, 1);
    vmm_metrics_add_own_(cells + bucket, 1);
  } else if (shard->own != NULL) {
    uint64_t* cells = vmm_metrics_cells_(shard, histogram->cells);
    vmm_metrics_raise_shared_(cells, ~value);
    vmm_metrics_raise_shared_(cells + 1, value);
    __atomic_fetch_add(cells + 2, added, __ATOMIC_RELAXED); /* publishes nothing, nor do the next two */
    __atomic_fetch_add(cells + 3, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(cells + bucket, 1, __ATOMIC_RELAXED);
  }
}

/* Records one value, in the unit of the histogram. */
VMM_METRICS_API void vmm_metrics_histogram_observe(const vmm_metrics_shard* shard, vmm_metrics_histogram histogram,
                                                   uint64_t value) {
  vmm_metrics_measure_(shard, &histogram, value, value, vmm_metrics_in_table(histogram.buckets, value));
}

/* Records one duration in nanoseconds, in a histogram of times. The buckets get the nanoseconds. The extremes are cut to
 * whole units. */
VMM_METRICS_API void vmm_metrics_histogram_observe_ns(const vmm_metrics_shard* shard, vmm_metrics_histogram histogram,
                                                      uint64_t ns) {
  if (shard->own == NULL) return;
  const uint64_t* cells = vmm_metrics_cells_(shard, histogram.cells);
  const uint64_t per_unit = histogram.buckets->per_unit;
  /* Relaxed: the cell publishes nothing, and any count will do. */
  vmm_metrics_measure_(shard, &histogram, ns / per_unit,
                       vmm_metrics_sum_(ns, per_unit, __atomic_load_n(cells + 3, __ATOMIC_RELAXED)), ns);
}

#ifdef CLOCK_MONOTONIC
#define VMM_METRICS_CLOCK_ CLOCK_MONOTONIC
#define vmm_metrics_clock_gettime_ clock_gettime
#else /* -std=c11 hides the clock of POSIX, which every Linux has */
#define VMM_METRICS_CLOCK_ 1
extern int vmm_metrics_clock_gettime_(int clock, struct timespec* now) __asm__("clock_gettime");
#endif

/* Reads CLOCK_MONOTONIC, the clock of latency metrics, in nanoseconds. */
VMM_METRICS_API uint64_t vmm_metrics_now_ns(void) {
  struct timespec now;
  vmm_metrics_clock_gettime_(VMM_METRICS_CLOCK_, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The same clock in whole microseconds. */
VMM_METRICS_API uint64_t vmm_metrics_now_us(void) { return vmm_metrics_now_ns() / 1000u; }

#endif /* VMM_METRICS_WRITE_H_ */

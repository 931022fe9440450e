// The C++ classes of vmm_metrics.h, which includes this file. C++17.
//
// Thread-safety:       a Shard belongs to the thread that made it, and only that thread counts through it. Metrics are
//                      plain values, which any thread may use.
// Async-signal-safety: inc(), add(), store(), observe() and observe_ns() are safe, with Shard::in_handler(), and with
//                      any Shard of the interrupted thread. Making or destroying a Shard is not safe, except
//                      Shard::in_handler().
// Memory ordering:     relaxed. A metric publishes nothing but itself.
// Units:               those of the schema. Latencies are in microseconds; observe_ns() takes nanoseconds.
// Lifetime:            a Shard must not outlive the attachment of its store, unless current() or in_handler() made it.

#pragma once

#include <stdint.h>

#include <string>
#include <string_view>

#include "vmm_metrics.h"

namespace vmm_metrics {

// The cells that one thread counts into. Movable, and empty after it was moved from. Nothing is counted through an empty
// Shard.
class Shard {
 public:
  Shard() = default;
  // Claims a shard for this thread, or uses the shared shard if all are taken; see is_shared(). The destructor gives the
  // shard back, so it must run on the same thread.
  explicit Shard(const vmm_metrics_store& store) : store_(store) {
    if (vmm_metrics_claim(&store_, &shard_) != VMM_METRICS_OK) vmm_metrics_shared_shard(&store_, &shard_);
    FindOwn();
  }
  // This thread's shard: claimed by the first call on the thread, and given back when the thread ends. Any code of the
  // thread can so count without being handed a Shard. If all shards are taken, it is the shared shard, and the next call
  // tries again.
  static Shard current(const vmm_metrics_store& store) {
    Shard shard;
    vmm_metrics_current(&store, &shard.shard_);
    shard.FindOwn();
    return shard;
  }
  // For signal handlers: the shard that the interrupted thread has from current(), else the shared shard.
  static Shard in_handler(const vmm_metrics_store& store) {
    Shard shard;
    vmm_metrics_handler_shard(&store, &shard.shard_);
    shard.FindOwn();
    return shard;
  }
  ~Shard() { Reset(); }
  Shard(Shard&& other) noexcept { TakeFrom(other); }
  Shard& operator=(Shard&& other) noexcept {
    if (this == &other) return *this;
    Reset();
    TakeFrom(other);
    return *this;
  }
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  bool is_empty() const { return shard_.shared == nullptr; }
  // Whether this is the shared shard, whose adds are atomic operations and cost more.
  bool is_shared() const { return own_ == nullptr && !is_empty(); }
  const vmm_metrics_shard& get() const { return shard_; }

  // For the metrics below. The base of the cells that only this thread writes; null: shared or empty.
  unsigned char* own() const { return own_; }

 private:
  void FindOwn() { own_ = shard_.number == VMM_METRICS_SHARED_SHARD ? nullptr : shard_.own; }
  void Reset() {
    if (store_.abi != nullptr) vmm_metrics_give_back(&store_, &shard_);
    own_ = nullptr;
    shard_ = {};
    store_ = {};
  }
  void TakeFrom(Shard& other) {
    own_ = other.own_;
    shard_ = other.shard_;
    store_ = other.store_;
    other.store_ = {};
    other.Reset();
  }

  unsigned char* own_ = nullptr;
  vmm_metrics_shard shard_ = {};
  vmm_metrics_store store_ = {};  // null if there is nothing to give back
};

// The metrics. A metric that was made without an argument counts nowhere.
class Metric {
 public:
  constexpr Metric() = default;
  constexpr explicit Metric(vmm_metrics_metric metric) : metric_(metric) {}

 protected:
  // The straight path is the one of a claimed shard: with a metric that is a constant, it is one test and the add.
  static bool IsOwn(const Shard& shard) { return __builtin_expect(shard.own() != nullptr, 1); }
  constexpr bool is_somewhere() const { return __builtin_expect(metric_.offset != kNowhere, 1); }
  uint64_t* In(unsigned char* base) const { return reinterpret_cast<uint64_t*>(base + metric_.offset); }

  static constexpr uint64_t kNowhere = ~uint64_t{0};
  vmm_metrics_metric metric_ = {kNowhere};
};

class IncMetric : public Metric {
 public:
  static constexpr vmm_metrics_kind kKind = VMM_METRICS_INC;
  using Metric::Metric;
  void inc(const Shard& shard) const { add(shard, 1); }
  void add(const Shard& shard, uint64_t n) const {
    if (!is_somewhere()) return;
    if (IsOwn(shard)) {
      vmm_metrics_add_own_(In(shard.own()), n);
    } else {
      vmm_metrics_add(&shard.get(), metric_, n);
    }
  }
};

class StoreMetric : public Metric {
 public:
  static constexpr vmm_metrics_kind kKind = VMM_METRICS_STORE;
  using Metric::Metric;
  void store(const Shard& shard, uint64_t value) const {
    if (is_somewhere()) vmm_metrics_set(&shard.get(), metric_, value);
  }
};

class LatencyMetric : public Metric {
 public:
  static constexpr vmm_metrics_kind kKind = VMM_METRICS_LATENCY;
  using Metric::Metric;
  void observe(const Shard& shard, uint64_t us) const {
    if (is_somewhere()) vmm_metrics_observe(&shard.get(), metric_, us);
  }
  void observe_ns(const Shard& shard, uint64_t ns) const {
    if (is_somewhere()) vmm_metrics_observe_ns(&shard.get(), metric_, ns);
  }
};

// A histogram, or a latency with a hidden histogram.
class HistogramMetric {
 public:
  constexpr HistogramMetric() = default;
  constexpr explicit HistogramMetric(vmm_metrics_histogram histogram) : histogram_(histogram) {}
  constexpr HistogramMetric(vmm_metrics_metric cells, const vmm_metrics_buckets* buckets) : histogram_{cells, buckets} {}
  void observe(const Shard& shard, uint64_t value) const {
    if (histogram_.buckets != nullptr) vmm_metrics_histogram_observe(&shard.get(), histogram_, value);
  }
  // For histograms of times.
  void observe_ns(const Shard& shard, uint64_t ns) const {
    if (histogram_.buckets != nullptr) vmm_metrics_histogram_observe_ns(&shard.get(), histogram_, ns);
  }

 private:
  vmm_metrics_histogram histogram_ = {{0}, nullptr};  // without buckets, it counts nowhere
};

// A histogram from the 512th cell of a schema on, see Far.
class FarHistogram {
 public:
  constexpr FarHistogram(uint32_t cell, const vmm_metrics_buckets* buckets) : cell_(cell), buckets_(buckets) {}
  HistogramMetric in(const Shard& shard) const {
    return HistogramMetric(vmm_metrics_metric{vmm_metrics_offset(shard.get().cell_layout, cell_)}, buckets_);
  }
  void observe(const Shard& shard, uint64_t value) const { in(shard).observe(shard, value); }
  void observe_ns(const Shard& shard, uint64_t ns) const { in(shard).observe_ns(shard, ns); }

 private:
  uint32_t cell_;
  const vmm_metrics_buckets* buckets_;
};

// A metric from the 512th cell of a schema on: its offset depends on the page size, and is computed at each use.
template <typename M>
class Far {
 public:
  constexpr explicit Far(uint32_t cell) : cell_(cell) {}
  M in(const Shard& shard) const { return M(vmm_metrics_metric{vmm_metrics_offset(shard.get().cell_layout, cell_)}); }
  void inc(const Shard& shard) const { in(shard).inc(shard); }
  void add(const Shard& shard, uint64_t n) const { in(shard).add(shard, n); }
  void store(const Shard& shard, uint64_t value) const { in(shard).store(shard, value); }
  void observe(const Shard& shard, uint64_t us) const { in(shard).observe(shard, us); }
  void observe_ns(const Shard& shard, uint64_t ns) const { in(shard).observe_ns(shard, ns); }

 private:
  uint32_t cell_;
};

// Records a duration: from the construction of this object to its destruction. The shard must outlive the object.
class LatencyRecord {
 public:
  LatencyRecord(const Shard& shard, const LatencyMetric& metric)
      : shard_(shard), metric_(metric), start_ns_(vmm_metrics_now_ns()) {}
  LatencyRecord(const Shard& shard, const Far<LatencyMetric>& metric) : LatencyRecord(shard, metric.in(shard)) {}
  ~LatencyRecord() { metric_.observe_ns(shard_, vmm_metrics_now_ns() - start_ns_); }
  LatencyRecord(const LatencyRecord&) = delete;
  LatencyRecord& operator=(const LatencyRecord&) = delete;

 private:
  const Shard& shard_;
  const LatencyMetric metric_;
  const uint64_t start_ns_;
};

// The same for a histogram of times.
class HistogramRecord {
 public:
  HistogramRecord(const Shard& shard, const HistogramMetric& metric)
      : shard_(shard), metric_(metric), start_ns_(vmm_metrics_now_ns()) {}
  HistogramRecord(const Shard& shard, const FarHistogram& metric) : HistogramRecord(shard, metric.in(shard)) {}
  ~HistogramRecord() { metric_.observe_ns(shard_, vmm_metrics_now_ns() - start_ns_); }
  HistogramRecord(const HistogramRecord&) = delete;
  HistogramRecord& operator=(const HistogramRecord&) = delete;

 private:
  const Shard& shard_;
  const HistogramMetric metric_;
  const uint64_t start_ns_;
};

namespace internal {
inline std::string Explain(vmm_metrics_status status, const std::string& name) {
  return status == VMM_METRICS_OK ? std::string() : name + ": " + vmm_metrics_status_text(status);
}
}  // namespace internal

// Looks up a metric of a plain group by its path, such as "vcpu.exit_io_out"; the kind is that of `out`. Empty, or a
// sentence that names the metric and says what is wrong. After a failure `*out` counts nowhere.
template <typename M>
std::string find(const vmm_metrics_store& store, const std::string& path, M* out) {
  vmm_metrics_metric metric = {};
  const vmm_metrics_status status = vmm_metrics_find(&store, path.c_str(), M::kKind, &metric);
  *out = status == VMM_METRICS_OK ? M(metric) : M();
  return internal::Explain(status, path);
}

// The same for a metric of a device, by its name, such as "read_count".
template <typename M>
std::string find_in_device(const vmm_metrics_store& store, vmm_metrics_device device, const std::string& field, M* out) {
  vmm_metrics_metric metric = {};
  const vmm_metrics_status status = vmm_metrics_find_in_device(&store, device, field.c_str(), M::kKind, &metric);
  *out = status == VMM_METRICS_OK ? M(metric) : M();
  return internal::Explain(status, field);
}

// The same for histograms, and for latencies with a hidden histogram.
inline std::string find(const vmm_metrics_store& store, const std::string& path, HistogramMetric* out) {
  vmm_metrics_histogram histogram = {{0}, nullptr};
  const vmm_metrics_status status = vmm_metrics_find_histogram(&store, nullptr, path.c_str(), &histogram);
  *out = status == VMM_METRICS_OK ? HistogramMetric(histogram) : HistogramMetric();
  return internal::Explain(status, path);
}

inline std::string find_in_device(const vmm_metrics_store& store, vmm_metrics_device device, const std::string& field,
                                  HistogramMetric* out) {
  vmm_metrics_histogram histogram = {{0}, nullptr};
  const vmm_metrics_status status = vmm_metrics_find_histogram(&store, &device, field.c_str(), &histogram);
  *out = status == VMM_METRICS_OK ? HistogramMetric(histogram) : HistogramMetric();
  return internal::Explain(status, field);
}

// Finds or makes the device `id` of `group`, see vmm_metrics_alloc_device. Empty, or a sentence that names the device
// and says what is wrong.
inline std::string alloc_device(const vmm_metrics_store& store, const std::string& group, std::string_view id,
                                vmm_metrics_device* out) {
  const vmm_metrics_status status = vmm_metrics_alloc_device(&store, group.c_str(), id.data(), id.size(), out);
  return internal::Explain(status, group + " '" + std::string(id) + "'");
}

// What the generated header of a schema is made of.

// The base of each generated struct of devices. `handle` is for vmm_metrics_release_device.
struct Device {
  vmm_metrics_device handle = {~0u, 0};
};

// Finds or makes a device, and the metrics in its cells.
class DeviceCells {
 public:
  // `problem`, if it is not null, becomes empty, or a sentence that says why there is no such device. Without the
  // device, its metrics are those of the group's aggregate.
  DeviceCells(const vmm_metrics_store& store, const char* group, std::string_view id, Device* device, std::string* problem)
      : device_(device->handle) {
    const std::string why = alloc_device(store, group, id, &device->handle);
    device_ = device->handle;
    if (problem != nullptr) *problem = why;
    vmm_metrics_shard shared = {};
    vmm_metrics_shared_shard(&store, &shared);
    cell_layout_ = shared.cell_layout;
  }
  template <typename M>
  void find(uint32_t cell, M* out) const {
    if (device_.group != Device().handle.group) {
      *out = M(vmm_metrics_metric{vmm_metrics_offset(cell_layout_, device_.first_cell + cell)});
    }
  }
  void find(uint32_t cell, HistogramMetric* out, const vmm_metrics_buckets* buckets) const {
    if (device_.group != Device().handle.group) {
      *out = HistogramMetric(vmm_metrics_metric{vmm_metrics_offset(cell_layout_, device_.first_cell + cell)}, buckets);
    }
  }

 private:
  vmm_metrics_device device_;
  uint32_t cell_layout_ = 0;
};

inline bool release(const vmm_metrics_store& store, const Device& device) {
  return vmm_metrics_release_device(&store, device.handle) == VMM_METRICS_OK;
}
inline bool remove(const vmm_metrics_store& store, const char* group, std::string_view id) {
  return vmm_metrics_remove_device(&store, group, id.data(), id.size()) == VMM_METRICS_OK;
}

#ifndef VMM_METRICS_WITHOUT_NODE_API
// Attaches to the store of `external`, if its schema agrees with the `count` facts. Empty, or a sentence that says why
// not: the first difference of the schemas, or why there is no attachment. After a failure `*out` is not attached.
inline std::string attach(napi_env env, napi_value external, const vmm_metrics_fact* facts, size_t count,
                          vmm_metrics_match match, vmm_metrics_store* out) {
  const vmm_metrics_status status = vmm_metrics_attach(env, external, 0, out);
  if (status != VMM_METRICS_OK) return vmm_metrics_status_text(status);
  std::string text(1024, '\0');
  const size_t length = vmm_metrics_first_difference(out, facts, count, match, text.data(), text.size());
  text.resize(length < text.size() ? length : text.size() - 1);
  if (length != 0) vmm_metrics_detach(out);
  return text;
}
#endif

}  // namespace vmm_metrics

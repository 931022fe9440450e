/* vmm_metrics.h: counts metrics of a vmm-metrics store from native code.
 *
 * Attach to the store that JavaScript passes as `metrics.native`, and look the metrics up by name once. Then each
 * thread claims a shard, its own set of cells. From then on an increment is inlined, without a function call:
 *
 *     vmm_metrics_store store;                                       // on the JS thread
 *     vmm_metrics_metric exits;
 *     vmm_metrics_attach(env, external, 0, &store);
 *     vmm_metrics_find(&store, "vcpu.exit_io_out", VMM_METRICS_INC, &exits);
 *
 *     vmm_metrics_shard shard;                                       // on the vCPU thread
 *     vmm_metrics_claim(&store, &shard);
 *     vmm_metrics_add(&shard, exits, 1);
 *     vmm_metrics_give_back(&store, &shard);
 *
 *     vmm_metrics_detach(&store);                                    // when no thread uses the store any more
 *
 * The C++ classes at the end of this file do the same, and clean up in their destructors.
 *
 * Thread-safety:       any thread may call any function, but vmm_metrics_attach needs a JS thread. Only the thread that
 *                      claimed a shard may use that shard. Handles of metrics are plain values.
 * Async-signal-safety: vmm_metrics_add, _set and _observe are safe with the shared shard (vmm_metrics_shared_shard).
 *                      With a claimed shard they are not, since the handler may have interrupted the shard's owner in
 *                      the middle of an add.
 * Memory ordering:     relaxed. A metric publishes nothing but itself.
 * Units:               those of the schema; latencies are in microseconds.
 * Lifetime:            cells stay mapped from attach to detach, even after JavaScript has closed the store. Increments
 *                      after that close appear in no line and no snapshot.
 */
#ifndef VMM_METRICS_H_
#define VMM_METRICS_H_

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifndef VMM_METRICS_WITHOUT_NODE_API
#include <node_api.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Goes up if an older header could misread a newer store. vmm_metrics_attach checks it. */
#define VMM_METRICS_ABI_VERSION 1u

typedef enum vmm_metrics_status {
  VMM_METRICS_OK = 0,
  VMM_METRICS_FOREIGN_OBJECT = 1, /* not a `metrics.native` */
  VMM_METRICS_OTHER_ABI = 2,      /* the store has another VMM_METRICS_ABI_VERSION */
  VMM_METRICS_OTHER_SCHEMA = 3,   /* the schema's fingerprint is not the expected one */
  VMM_METRICS_CLOSED = 4,         /* JavaScript has closed the store */
  VMM_METRICS_UNKNOWN_NAME = 5,   /* the schema has no such metric or group of devices */
  VMM_METRICS_OTHER_KIND = 6,     /* the metric exists, but has another kind */
  VMM_METRICS_BAD_ID = 7,         /* a device id must be 1 to 255 bytes of UTF-8 without NUL */
  VMM_METRICS_KEY_TAKEN = 8,      /* another part of the line has the device's key */
  VMM_METRICS_NO_SPACE = 9,       /* no memory, or no room for more cells */
  VMM_METRICS_BAD_ARGUMENT = 10   /* a null pointer, an unknown device, or Node-API refused a call */
} vmm_metrics_status;

typedef enum vmm_metrics_kind { VMM_METRICS_INC = 0, VMM_METRICS_STORE = 1, VMM_METRICS_LATENCY = 2 } vmm_metrics_kind;

/* A metric: the offset of its first cell, in bytes from the base of a shard. */
typedef struct vmm_metrics_metric {
  uint64_t offset;
} vmm_metrics_metric;

/* A device: the number of its group, and its first cell. */
typedef struct vmm_metrics_device {
  uint32_t group;
  uint32_t first_cell;
} vmm_metrics_device;

#define VMM_METRICS_SHARED_SHARD 0u

/* The cells that one thread writes. All threads share the shard with the `number` VMM_METRICS_SHARED_SHARD, with atomic
 * adds. */
typedef struct vmm_metrics_shard {
  unsigned char* own;
  unsigned char* shared;
  uint32_t number;
  void* alternate_stack; /* for a crash on this thread; NULL if the host's is large enough, or there is no memory */
} vmm_metrics_shard;

/* `metrics.native` points to this table. Do not use it directly; the functions below call through it. */
typedef struct vmm_metrics_abi {
  uint32_t abi_version;
  uint32_t struct_bytes;
  uint64_t schema_fingerprint;
  void* store;
  vmm_metrics_status (*retain)(void* store);
  void (*release)(void* store);
  vmm_metrics_status (*find)(void* store, const char* path, vmm_metrics_kind kind, vmm_metrics_metric* out);
  vmm_metrics_status (*alloc_device)(void* store, const char* group, const char* id, size_t id_bytes, vmm_metrics_device* out);
  vmm_metrics_status (*find_in_device)(void* store, vmm_metrics_device device, const char* field, vmm_metrics_kind kind,
                                       vmm_metrics_metric* out);
  vmm_metrics_status (*claim)(void* store, vmm_metrics_shard* out);
  void (*give_back)(void* store, vmm_metrics_shard* shard);
  void (*shared_shard)(void* store, vmm_metrics_shard* out);
  /* Since 0.2.0. They exist only if struct_bytes reaches past them. */
  vmm_metrics_status (*release_device)(void* store, vmm_metrics_device device);
  vmm_metrics_status (*remove_device)(void* store, const char* group, const char* id, size_t id_bytes);
} vmm_metrics_abi;

/* An attachment to a store. */
typedef struct vmm_metrics_store {
  const vmm_metrics_abi* abi;
} vmm_metrics_store;

/* The status as a sentence for people; never NULL. */
static inline const char* vmm_metrics_status_text(vmm_metrics_status status) {
  switch (status) {
    case VMM_METRICS_OK: return "ok";
    case VMM_METRICS_FOREIGN_OBJECT: return "the object is not the `native` of a vmm-metrics store";
    case VMM_METRICS_OTHER_ABI: return "the store was built for another version of vmm_metrics.h";
    case VMM_METRICS_OTHER_SCHEMA: return "the store has another schema than this code was built for";
    case VMM_METRICS_CLOSED: return "the store is closed";
    case VMM_METRICS_UNKNOWN_NAME: return "the schema has no metric or group of that name";
    case VMM_METRICS_OTHER_KIND: return "the metric of that name is of another kind";
    case VMM_METRICS_BAD_ID: return "a device id must be 1 to 255 bytes of UTF-8 without NUL";
    case VMM_METRICS_KEY_TAKEN: return "another part of the line has the device's key";
    case VMM_METRICS_NO_SPACE: return "there is no memory, or no room for more cells";
    case VMM_METRICS_BAD_ARGUMENT: return "an argument is null or unknown, or Node-API refused a call";
  }
  return "unknown status";
}

#ifndef VMM_METRICS_WITHOUT_NODE_API
/* Marks the externals of this package, so that a foreign object is an error and its pointer is never used. */
static const napi_type_tag vmm_metrics_type_tag = {0x6f2bd7c1a4e94b37u, 0x9d1c50e8b36a7f42u};

/* Attaches to the store of `external` (`metrics.native`). `fingerprint` identifies the schema that the caller was built
 * for; 0 accepts any schema. Call it on the JS thread that `env` belongs to. It leaves no exception pending. */
static inline vmm_metrics_status vmm_metrics_attach(napi_env env, napi_value external, uint64_t fingerprint,
                                                    vmm_metrics_store* out) {
  napi_valuetype type;
  bool tagged = false;
  void* data = NULL;
  const vmm_metrics_abi* abi;
  vmm_metrics_status status;
  if (out == NULL) return VMM_METRICS_BAD_ARGUMENT;
  out->abi = NULL;
  if (napi_typeof(env, external, &type) != napi_ok) return VMM_METRICS_BAD_ARGUMENT;
  if (type != napi_external) return VMM_METRICS_FOREIGN_OBJECT;
  if (napi_check_object_type_tag(env, external, &vmm_metrics_type_tag, &tagged) != napi_ok || !tagged) {
    return VMM_METRICS_FOREIGN_OBJECT;
  }
  if (napi_get_value_external(env, external, &data) != napi_ok || data == NULL) return VMM_METRICS_BAD_ARGUMENT;
  abi = (const vmm_metrics_abi*)data;
  if (abi->abi_version != VMM_METRICS_ABI_VERSION || abi->struct_bytes < offsetof(vmm_metrics_abi, release_device)) {
    return VMM_METRICS_OTHER_ABI;
  }
  if (fingerprint != 0 && abi->schema_fingerprint != fingerprint) return VMM_METRICS_OTHER_SCHEMA;
  status = abi->retain(abi->store);
  if (status == VMM_METRICS_OK) out->abi = abi;
  return status;
}
#endif

/* Detaches from the store. Give all shards back first. A second call does nothing. */
static inline void vmm_metrics_detach(vmm_metrics_store* store) {
  const vmm_metrics_abi* abi = store->abi;
  store->abi = NULL;
  if (abi != NULL) abi->release(abi->store);
}

/* Looks up a metric of a plain group by its path, such as "vcpu.exit_io_out". */
static inline vmm_metrics_status vmm_metrics_find(const vmm_metrics_store* store, const char* path, vmm_metrics_kind kind,
                                                  vmm_metrics_metric* out) {
  return store->abi->find(store->abi->store, path, kind, out);
}

/* Finds the device `id` of `group`, or makes it: the same cells as metrics.app.<group>.alloc(id) in JavaScript. The
 * cells belong to that device, even after it was removed, until vmm_metrics_release_device was called as often as this
 * function. */
static inline vmm_metrics_status vmm_metrics_alloc_device(const vmm_metrics_store* store, const char* group, const char* id,
                                                          size_t id_bytes, vmm_metrics_device* out) {
  return store->abi->alloc_device(store->abi->store, group, id, id_bytes, out);
}

/* Releases a device that vmm_metrics_alloc_device returned. Afterwards no thread may write to its metrics through this
 * handle. Once the device is removed, and every holder has released it, another device gets its cells. A handle that is
 * never released holds the cells as long as the store lives. That matters if devices are plugged in and out many times.
 * Returns VMM_METRICS_BAD_ARGUMENT if the device was released already, and VMM_METRICS_OTHER_ABI if the store is older
 * than this function; such a store holds the cells for ever. */
static inline vmm_metrics_status vmm_metrics_release_device(const vmm_metrics_store* store, vmm_metrics_device device) {
  const vmm_metrics_abi* abi = store->abi;
  if (abi->struct_bytes < offsetof(vmm_metrics_abi, remove_device)) return VMM_METRICS_OTHER_ABI;
  return abi->release_device(abi->store, device);
}

/* Removes the device `id` of `group` from the line, as metrics.app.<group>.remove(id) does. Returns
 * VMM_METRICS_UNKNOWN_NAME if there is no such device, and VMM_METRICS_OTHER_ABI if the store is older than this
 * function. */
static inline vmm_metrics_status vmm_metrics_remove_device(const vmm_metrics_store* store, const char* group, const char* id,
                                                           size_t id_bytes) {
  const vmm_metrics_abi* abi = store->abi;
  if (abi->struct_bytes < sizeof(vmm_metrics_abi)) return VMM_METRICS_OTHER_ABI;
  return abi->remove_device(abi->store, group, id, id_bytes);
}

/* Looks up a metric of a device by its name, such as "read_count". */
static inline vmm_metrics_status vmm_metrics_find_in_device(const vmm_metrics_store* store, vmm_metrics_device device,
                                                            const char* field, vmm_metrics_kind kind, vmm_metrics_metric* out) {
  return store->abi->find_in_device(store->abi->store, device, field, kind, out);
}

/* Claims a shard for the calling thread. If the thread has no alternate signal stack, it gets one, so that a crash on
 * this thread is captured even after a stack overflow. If all shards are taken, the thread uses the shared shard, whose
 * adds are atomic and cost more. Returns VMM_METRICS_CLOSED if JavaScript has closed the store. */
static inline vmm_metrics_status vmm_metrics_claim(const vmm_metrics_store* store, vmm_metrics_shard* out) {
  return store->abi->claim(store->abi->store, out);
}

/* Gives the shard back, with its values. The thread that claimed the shard must call this before it ends. */
static inline void vmm_metrics_give_back(const vmm_metrics_store* store, vmm_metrics_shard* shard) {
  store->abi->give_back(store->abi->store, shard);
}

/* The shared shard, for signal handlers, and for threads that count too rarely to claim a shard of their own. It need
 * not be given back. */
static inline void vmm_metrics_shared_shard(const vmm_metrics_store* store, vmm_metrics_shard* out) {
  store->abi->shared_shard(store->abi->store, out);
}

/* Adds `n` to an inc metric. The metric wraps at 2^64. */
static inline void vmm_metrics_add(const vmm_metrics_shard* shard, vmm_metrics_metric metric, uint64_t n) {
  uint64_t* cell = (uint64_t*)(void*)(shard->own + metric.offset);
  if (shard->number != VMM_METRICS_SHARED_SHARD) {
    /* This shard has one writer, so a load and a store suffice, at a fraction of the cost of a locked add. Relaxed: the
     * cell publishes nothing. */
    __atomic_store_n(cell, __atomic_load_n(cell, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
  } else {
    __atomic_fetch_add(cell, n, __ATOMIC_RELAXED);
  }
}

/* Sets a store metric. Its only cell is in the shared shard, for all threads. */
static inline void vmm_metrics_set(const vmm_metrics_shard* shard, vmm_metrics_metric metric, uint64_t value) {
  __atomic_store_n((uint64_t*)(void*)(shard->shared + metric.offset), value, __ATOMIC_RELAXED);
}

/* Raises a cell to `value` if `value` is larger. */
static inline void vmm_metrics_raise_(const vmm_metrics_shard* shard, uint64_t* cell, uint64_t value) {
  uint64_t now = __atomic_load_n(cell, __ATOMIC_RELAXED);
  if (shard->number != VMM_METRICS_SHARED_SHARD) {
    if (value > now) __atomic_store_n(cell, value, __ATOMIC_RELAXED);
    return;
  }
  while (value > now && !__atomic_compare_exchange_n(cell, &now, value, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

/* Records one duration. A latency metric has three cells: the complement of the minimum, the maximum, and the sum. With
 * the complement, the 0 of an untouched cell means "none", and 0 us can be a true minimum. */
static inline void vmm_metrics_observe(const vmm_metrics_shard* shard, vmm_metrics_metric metric, uint64_t us) {
  uint64_t* cells = (uint64_t*)(void*)(shard->own + metric.offset);
  vmm_metrics_metric sum = {metric.offset + 2 * sizeof(uint64_t)};
  vmm_metrics_raise_(shard, cells, ~us);
  vmm_metrics_raise_(shard, cells + 1, us);
  vmm_metrics_add(shard, sum, us);
}

#ifdef CLOCK_MONOTONIC /* -std=c11 hides it: use -std=gnu11, or define _POSIX_C_SOURCE */
/* Reads CLOCK_MONOTONIC, the clock of latency metrics, in whole microseconds. */
static inline uint64_t vmm_metrics_now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}
#endif

#ifdef __cplusplus
}

namespace vmm_metrics {

// Claims a shard for the thread that makes this object, and gives it back when that thread destroys the object.
class Shard {
 public:
  explicit Shard(const vmm_metrics_store& store) : store_(store) {
    if (vmm_metrics_claim(&store_, &shard_) != VMM_METRICS_OK) vmm_metrics_shared_shard(&store_, &shard_);
  }
  ~Shard() { vmm_metrics_give_back(&store_, &shard_); }
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;
  const vmm_metrics_shard& get() const { return shard_; }

 private:
  vmm_metrics_store store_;
  vmm_metrics_shard shard_ = {};
};

class IncMetric {
 public:
  explicit IncMetric(vmm_metrics_metric metric = {}) : metric_(metric) {}
  void inc(const Shard& shard) const { add(shard, 1); }
  void add(const Shard& shard, uint64_t n) const { vmm_metrics_add(&shard.get(), metric_, n); }

 private:
  vmm_metrics_metric metric_;
};

class StoreMetric {
 public:
  explicit StoreMetric(vmm_metrics_metric metric = {}) : metric_(metric) {}
  void store(const Shard& shard, uint64_t value) const { vmm_metrics_set(&shard.get(), metric_, value); }

 private:
  vmm_metrics_metric metric_;
};

class LatencyMetric {
 public:
  explicit LatencyMetric(vmm_metrics_metric metric = {}) : metric_(metric) {}
  void observe(const Shard& shard, uint64_t us) const { vmm_metrics_observe(&shard.get(), metric_, us); }

 private:
  vmm_metrics_metric metric_;
};

// Records a duration: from the construction of this object to its destruction.
class LatencyRecord {
 public:
  LatencyRecord(const Shard& shard, const LatencyMetric& metric)
      : shard_(shard), metric_(metric), start_us_(vmm_metrics_now_us()) {}
  ~LatencyRecord() { metric_.observe(shard_, vmm_metrics_now_us() - start_us_); }
  LatencyRecord(const LatencyRecord&) = delete;
  LatencyRecord& operator=(const LatencyRecord&) = delete;

 private:
  const Shard& shard_;
  const LatencyMetric& metric_;
  const uint64_t start_us_;
};

}  // namespace vmm_metrics
#endif

#endif /* VMM_METRICS_H_ */

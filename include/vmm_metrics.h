/* vmm_metrics.h: counts metrics of a vmm-metrics store from native code. ABI 2.
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
 * C++ code gets the classes of vmm_metrics.hpp, which this file includes at its end. `vmm-metrics codegen` writes a
 * header with one constant per metric of a schema, so that no name is looked up at run time. Other languages link
 * vmm_metrics.c, which has every function of this file as a symbol. docs/native-writers.md shows all three.
 *
 * Thread-safety:       any thread may call any function, but vmm_metrics_attach needs a JS thread. Only the thread that
 *                      claimed a shard may use that shard. Handles of metrics are plain values.
 * Async-signal-safety: vmm_metrics_handler_shard, _add, _set, _observe, _observe_ns, _histogram_observe and
 *                      _histogram_observe_ns are safe, with the shared shard and with a shard that the interrupted
 *                      thread has claimed. The other functions are not.
 * Memory ordering:     relaxed. A metric publishes nothing but itself.
 * Units:               those of the schema. Latencies are in microseconds; vmm_metrics_observe_ns takes nanoseconds.
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

#include "vmm_metrics_histogram.h"

/* How the functions below are defined. vmm_metrics.c makes them symbols for the linker. */
#ifndef VMM_METRICS_API
#define VMM_METRICS_API static inline
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header. A store of this version serves headers of version 1 too. */
#define VMM_METRICS_ABI_VERSION 2u

/* The version at the start of the table below. It stays 1 as long as the table only grows at its end: headers of
 * version 1 accept no other number. */
#define VMM_METRICS_TABLE_VERSION 1u

typedef enum vmm_metrics_status {
  VMM_METRICS_OK = 0,
  VMM_METRICS_FOREIGN_OBJECT = 1, /* not a `metrics.native` */
  VMM_METRICS_OTHER_ABI = 2,      /* the store is older than this header, or has another VMM_METRICS_TABLE_VERSION */
  VMM_METRICS_OTHER_SCHEMA = 3,   /* the schema's fingerprint is not the expected one */
  VMM_METRICS_CLOSED = 4,         /* JavaScript has closed the store */
  VMM_METRICS_UNKNOWN_NAME = 5,   /* the schema has no such metric or group of devices */
  VMM_METRICS_OTHER_KIND = 6,     /* the metric exists, but has another kind */
  VMM_METRICS_BAD_ID = 7,         /* a device id must be 1 to 255 bytes of UTF-8 without NUL */
  VMM_METRICS_KEY_TAKEN = 8,      /* another part of the line has the device's key */
  VMM_METRICS_NO_SPACE = 9,       /* no memory, or no room for more cells */
  VMM_METRICS_BAD_ARGUMENT = 10   /* a null pointer, an unknown device, or Node-API refused a call */
} vmm_metrics_status;

typedef enum vmm_metrics_kind {
  VMM_METRICS_INC = 0,
  VMM_METRICS_STORE = 1,
  VMM_METRICS_LATENCY = 2,
  VMM_METRICS_HISTOGRAM = 3 /* or a latency with a hidden histogram */
} vmm_metrics_kind;

/* A metric: the offset of its first cell, in bytes from the base of a shard. */
typedef struct vmm_metrics_metric {
  uint64_t offset;
} vmm_metrics_metric;

/* A histogram, or a latency with a hidden histogram: its cells, and the table that finds its buckets. */
typedef struct vmm_metrics_histogram {
  vmm_metrics_metric cells;
  const vmm_metrics_buckets* buckets;
} vmm_metrics_histogram;

/* A device: the number of its group, and its first cell. */
typedef struct vmm_metrics_device {
  uint32_t group;
  uint32_t first_cell;
} vmm_metrics_device;

#define VMM_METRICS_SHARED_SHARD 0u

/* The cells that one thread writes. All threads share the shard with the `number` VMM_METRICS_SHARED_SHARD, with atomic
 * adds. If all bytes of this struct are 0, nothing is counted through it. */
typedef struct vmm_metrics_shard {
  unsigned char* own;
  unsigned char* shared;
  uint32_t number;
  uint32_t cell_layout;  /* see vmm_metrics_offset */
  void* alternate_stack; /* for a crash on this thread; NULL if the host's is large enough, or there is no memory */
} vmm_metrics_shard;

#define VMM_METRICS_NO_CELL 0xffffffffu

/* What generated code expects of a schema: one entry for each group and each metric, in the order of the schema. */
typedef struct vmm_metrics_fact {
  const char* path; /* "vcpu" or "vcpu.exit_io_out" */
  const char* fact; /* "group()" or "inc()" */
  uint32_t cell;    /* the metric's first cell, for devices counted from the device's first; VMM_METRICS_NO_CELL: a group */
} vmm_metrics_fact;

/* Which schemas agree with some facts: only one of which these are all facts, or also one that goes on behind them. */
typedef enum vmm_metrics_match { VMM_METRICS_WHOLE = 0, VMM_METRICS_BEGINNING = 1 } vmm_metrics_match;

/* `metrics.native` points to this table. Do not use it directly; the functions below call through it. */
typedef struct vmm_metrics_abi {
  uint32_t table_version;
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
  vmm_metrics_status (*release_device)(void* store, vmm_metrics_device device);
  vmm_metrics_status (*remove_device)(void* store, const char* group, const char* id, size_t id_bytes);
  /* ABI 2 begins here. */
  vmm_metrics_status (*current)(void* store, vmm_metrics_shard* out);
  void (*handler_shard)(void* store, vmm_metrics_shard* out);
  size_t (*first_difference)(void* store, const vmm_metrics_fact* facts, size_t count, vmm_metrics_match match, char* text,
                             size_t text_bytes);
  vmm_metrics_status (*watch_kvm)(void* store, int fd, const char* vcpu, size_t vcpu_bytes);
  vmm_metrics_status (*find_histogram)(void* store, const vmm_metrics_device* device, const char* name,
                                       vmm_metrics_histogram* out);
} vmm_metrics_abi;

/* An attachment to a store. */
typedef struct vmm_metrics_store {
  const vmm_metrics_abi* abi;
} vmm_metrics_store;

/* The status as a sentence for people; never NULL. */
VMM_METRICS_API const char* vmm_metrics_status_text(vmm_metrics_status status) {
  switch (status) {
    case VMM_METRICS_OK: return "ok";
    case VMM_METRICS_FOREIGN_OBJECT: return "the object is not the `native` of a vmm-metrics store";
    case VMM_METRICS_OTHER_ABI: return "the store is of another version of vmm-metrics than vmm_metrics.h";
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
VMM_METRICS_API vmm_metrics_status vmm_metrics_attach(napi_env env, napi_value external, uint64_t fingerprint,
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
  if (abi->table_version != VMM_METRICS_TABLE_VERSION || abi->struct_bytes < sizeof(vmm_metrics_abi)) {
    return VMM_METRICS_OTHER_ABI;
  }
  if (fingerprint != 0 && abi->schema_fingerprint != fingerprint) return VMM_METRICS_OTHER_SCHEMA;
  status = abi->retain(abi->store);
  if (status == VMM_METRICS_OK) out->abi = abi;
  return status;
}
#endif

/* Detaches from the store. Give all shards back first. A second call does nothing. */
VMM_METRICS_API void vmm_metrics_detach(vmm_metrics_store* store) {
  const vmm_metrics_abi* abi = store->abi;
  store->abi = NULL;
  if (abi != NULL) abi->release(abi->store);
}

/* Looks up a metric of a plain group by its path, such as "vcpu.exit_io_out". */
VMM_METRICS_API vmm_metrics_status vmm_metrics_find(const vmm_metrics_store* store, const char* path, vmm_metrics_kind kind,
                                                    vmm_metrics_metric* out) {
  return store->abi->find(store->abi->store, path, kind, out);
}

/* Finds the device `id` of `group`, or makes it: the same cells as metrics.app.<group>.alloc(id) in JavaScript. The
 * cells belong to that device, even after it was removed, until vmm_metrics_release_device was called as often as this
 * function. */
VMM_METRICS_API vmm_metrics_status vmm_metrics_alloc_device(const vmm_metrics_store* store, const char* group, const char* id,
                                                            size_t id_bytes, vmm_metrics_device* out) {
  return store->abi->alloc_device(store->abi->store, group, id, id_bytes, out);
}

/* Releases a device that vmm_metrics_alloc_device returned. Afterwards no thread may write to its metrics through this
 * handle. Once the device is removed, and every holder has released it, another device gets its cells. A handle that is
 * never released holds the cells as long as the store lives. That matters if devices are plugged in and out many times.
 * Returns VMM_METRICS_BAD_ARGUMENT if the device was released already. */
VMM_METRICS_API vmm_metrics_status vmm_metrics_release_device(const vmm_metrics_store* store, vmm_metrics_device device) {
  return store->abi->release_device(store->abi->store, device);
}

/* Removes the device `id` of `group` from the line, as metrics.app.<group>.remove(id) does. Returns
 * VMM_METRICS_UNKNOWN_NAME if there is no such device. */
VMM_METRICS_API vmm_metrics_status vmm_metrics_remove_device(const vmm_metrics_store* store, const char* group, const char* id,
                                                             size_t id_bytes) {
  return store->abi->remove_device(store->abi->store, group, id, id_bytes);
}

/* Samples KVM's statistics into the metrics that kvmFields() of vmm-metrics/kvm made, as metrics.sampleKvm() does: just
 * before each line, each sample of a profile, each snapshot and the last line of a crash. `fd` is a VM, a vCPU or a
 * statistics descriptor (KVM_GET_STATS_FD); the store duplicates it. Without `vcpu` (NULL, 0), the values go to the
 * VM's metrics. With `vcpu`, they go to the device of that id in the group of the vCPUs, which is made if it does not
 * exist; when the device is removed, the watch ends. A later call with the same `vcpu` replaces the descriptor. With
 * the fd -1, what is watched there is sampled once more, and the watch ends.
 *
 * Returns VMM_METRICS_UNKNOWN_NAME if the schema has no such metrics, and VMM_METRICS_BAD_ARGUMENT if `fd` is not
 * such a descriptor or the kernel has no statistics. */
VMM_METRICS_API vmm_metrics_status vmm_metrics_watch_kvm(const vmm_metrics_store* store, int fd, const char* vcpu,
                                                         size_t vcpu_bytes) {
  return store->abi->watch_kvm(store->abi->store, fd, vcpu, vcpu_bytes);
}

/* Looks up a metric of a device by its name, such as "read_count". */
VMM_METRICS_API vmm_metrics_status vmm_metrics_find_in_device(const vmm_metrics_store* store, vmm_metrics_device device,
                                                              const char* field, vmm_metrics_kind kind, vmm_metrics_metric* out) {
  return store->abi->find_in_device(store->abi->store, device, field, kind, out);
}

/* Looks up a histogram, or a latency with a hidden histogram: of a plain group by its path if `device` is NULL, otherwise
 * of that device by its name. */
VMM_METRICS_API vmm_metrics_status vmm_metrics_find_histogram(const vmm_metrics_store* store, const vmm_metrics_device* device,
                                                              const char* name, vmm_metrics_histogram* out) {
  return store->abi->find_histogram(store->abi->store, device, name, out);
}

/* Claims a shard for the calling thread. If the thread has no alternate signal stack, it gets one, so that a crash on
 * this thread is captured even after a stack overflow. If all shards are taken, the thread uses the shared shard, whose
 * adds are atomic and cost more. Returns VMM_METRICS_CLOSED if JavaScript has closed the store. */
VMM_METRICS_API vmm_metrics_status vmm_metrics_claim(const vmm_metrics_store* store, vmm_metrics_shard* out) {
  return store->abi->claim(store->abi->store, out);
}

/* Gives the shard back, with its values. The thread that claimed the shard must call this before it ends. */
VMM_METRICS_API void vmm_metrics_give_back(const vmm_metrics_store* store, vmm_metrics_shard* shard) {
  store->abi->give_back(store->abi->store, shard);
}

/* The shared shard, for threads that count too rarely to claim a shard of their own. It need not be given back. */
VMM_METRICS_API void vmm_metrics_shared_shard(const vmm_metrics_store* store, vmm_metrics_shard* out) {
  store->abi->shared_shard(store->abi->store, out);
}

/* The calling thread's shard: claimed by the first call on this thread, and given back when the thread ends. Later calls
 * cost a few nanoseconds. Do not give this shard back yourself, and do not use it on another thread. If all shards are
 * taken, `*out` is the shared shard, and the next call tries again. Returns VMM_METRICS_CLOSED, with the shared shard,
 * if JavaScript has closed the store and the thread has no shard of it. */
VMM_METRICS_API vmm_metrics_status vmm_metrics_current(const vmm_metrics_store* store, vmm_metrics_shard* out) {
  return store->abi->current(store->abi->store, out);
}

/* For signal handlers: the shard that the interrupted thread has from vmm_metrics_current, else the shared shard.
 * Async-signal-safe; claims nothing. */
VMM_METRICS_API void vmm_metrics_handler_shard(const vmm_metrics_store* store, vmm_metrics_shard* out) {
  store->abi->handler_shard(store->abi->store, out);
}

/* Compares `count` facts with the schema of the store. Returns 0 if they agree, as `match` demands. Otherwise writes the first
 * difference into `text` as a sentence, cut to `text_bytes` - 1 bytes, and returns the length of the whole sentence. */
VMM_METRICS_API size_t vmm_metrics_first_difference(const vmm_metrics_store* store, const vmm_metrics_fact* facts, size_t count,
                                                    vmm_metrics_match match, char* text, size_t text_bytes) {
  return store->abi->first_difference(store->abi->store, facts, count, match, text, text_bytes);
}

/* Writes "name: reason" into `text`, cut to `text_bytes` - 1 bytes: for a message that names what was not found. */
VMM_METRICS_API void vmm_metrics_explain(vmm_metrics_status status, const char* name, char* text, size_t text_bytes) {
  const char* const parts[] = {name == NULL ? "NULL" : name, ": ", vmm_metrics_status_text(status)};
  size_t length = 0;
  size_t part;
  if (text == NULL || text_bytes == 0) return;
  for (part = 0; part < sizeof(parts) / sizeof(parts[0]); part++) {
    const char* from;
    for (from = parts[part]; *from != 0 && length + 1 < text_bytes; from++) text[length++] = *from;
  }
  text[length] = 0;
}

/* The offset of a cell, in bytes from the base of a shard. A shard lies in pages, and the pages of other shards lie
 * between them: `cell_layout` is 256 times the distance of two pages of one shard, in pages, plus the binary logarithm
 * of the bytes of a page. A page has 512 cells or more, so the first 512 cells are at 8 * cell everywhere. */
VMM_METRICS_API uint64_t vmm_metrics_offset(uint32_t cell_layout, uint32_t cell) {
  const uint64_t bytes = (uint64_t)cell * sizeof(uint64_t);
  const uint32_t page_shift = cell_layout & 0xffu;
  const uint64_t distance = (uint64_t)(cell_layout >> 8) << page_shift;
  return (bytes >> page_shift) * distance + (bytes & (((uint64_t)1 << page_shift) - 1));
}

#include "vmm_metrics_write.h"

#ifdef __cplusplus
}

#include "vmm_metrics.hpp"
#endif

#endif /* VMM_METRICS_H_ */

// A store with one attachment for JavaScript, and one for native code.

#pragma once

#include <string>
#include <utility>

#include "check.h"
#include "schema_builder.h"
#include "store/native_abi.h"
#include "store/store.h"

namespace vmm {

struct Attached {
  explicit Attached(const std::string& name = "native")
      : Attached(SchemaBuilder()
                     .Group("g", {Inc("i"), Gauge("s"), Latency("l")})
                     .PerDevice("d", {Inc("i"), Gauge("s"), Latency("l")})
                     .PerDevice("d_x", {Inc("i")})
                     .Build(name)) {}
  explicit Attached(StoreSpec&& spec) {
    OpenConflict conflict;
    CHECK(Store::Open(std::move(spec), &store, &conflict).ok());
    native.abi = &store->abi();
    CHECK_EQ(native.abi->retain(native.abi->store), VMM_METRICS_OK);
  }
  ~Attached() {
    vmm_metrics_detach(&native);
    if (store != nullptr) store->Detach(false);
  }
  void Close() {
    store->Detach(false);
    store = nullptr;
  }
  // Finds the metric at that path, which must exist.
  vmm_metrics_metric Find(const char* path, vmm_metrics_kind kind) {
    vmm_metrics_metric metric = {};
    CHECK_EQ(vmm_metrics_find(&native, path, kind, &metric), VMM_METRICS_OK);
    return metric;
  }
  uint64_t Total(const std::string& path) { return store->cells().Total(CellOf(store->spec(), path)); }

  Store* store = nullptr;
  vmm_metrics_store native = {};
};

}  // namespace vmm

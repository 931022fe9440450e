// A KvmScene has the metrics of one VM, two counters and a gauge, without a store. Descriptors are sampled into them.
//
// Thread-safety:       as its parts.
// Async-signal-safety: none.
// Lifetime:            the cells outlive the samples.

#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "check.h"
#include "kvm/watches.h"
#include "kvm_bytes.h"

namespace vmm {

struct KvmScene {
  KvmScene() {
    uint32_t first = 0;
    CHECK(cells.Create({1}).ok());
    CHECK(cells.Reserve(kinds.data(), 4, &first).ok());
    cells.Publish();
    samples.CountErrorsIn(&cells.Shared(3));
  }
  static std::vector<KvmByte> Statistics() { return {{"exits"}, {"pages", kInstantFlags}, {"wait_ns", 0x20, -9}, {"unknown"}}; }

  Status Watch(const KvmBytes& bytes) {
    KvmWatches::Prepared prepared;
    const Status status = KvmWatches::Prepare(bytes.fd(), metrics, kinds, &prepared);
    if (status.ok()) watches.Begin(KvmWatches::kVm, std::move(prepared));
    return status;
  }
  uint64_t At(uint32_t cell) { return cells.Total(cell); }

  const std::vector<CellKind> kinds = {CellKind::kInc, CellKind::kStore, CellKind::kInc, CellKind::kInc};
  const std::vector<KvmMetric> metrics = {{"exits", 0}, {"pages", 1}, {"wait_ns", 2}, {"missing", 3}};
  Cells cells;
  KvmSamples samples;
  KvmWatches watches{samples, cells};
};

}  // namespace vmm

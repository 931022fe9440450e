// The native ABI is the table of functions that a store hands to native code of other addons, behind
// include/vmm_metrics.h.
//
// Thread-safety:       any thread may call any function of the table.
// Async-signal-safety: none. The public header states which of its inline functions are safe.
// Lifetime:            the table is part of its store. Each native attachment keeps the store's memory.

#pragma once

#define VMM_METRICS_WITHOUT_NODE_API
#include "../../include/vmm_metrics.h"
#undef VMM_METRICS_WITHOUT_NODE_API

namespace vmm {

class Store;

vmm_metrics_abi MakeNativeAbi(Store* store, uint64_t schema_fingerprint);

}  // namespace vmm

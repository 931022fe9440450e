// NativeAbi is what a store hands to native code of other addons: the table behind include/vmm_metrics.h.
//
// Thread-safety:       every function in the table may be called by any thread.
// Async-signal-safety: none of them; the inline functions of the public header say for themselves.
// Lifetime:            the table is part of its store, which each attachment keeps.

#pragma once

#define VMM_METRICS_WITHOUT_NODE_API
#include "../../include/vmm_metrics.h"
#undef VMM_METRICS_WITHOUT_NODE_API

namespace vmm {

class Store;

vmm_metrics_abi MakeNativeAbi(Store* store, uint64_t schema_fingerprint);

}  // namespace vmm

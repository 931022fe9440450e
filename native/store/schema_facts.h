// Compares what generated native code knows of a schema with the schema of a store.
//
// Thread-safety:       any thread.
// Async-signal-safety: none.

#pragma once

#include <string>

#include "store/native_abi.h"
#include "store/store_spec.h"

namespace vmm {

// The first difference as a sentence; empty: there is none. A difference is a fact (a metric is missing, or of another
// kind), or the cell of a metric: another version of the package may give the same schema other cells.
std::string FirstDifference(const StoreSpec& spec, const vmm_metrics_fact* facts, size_t count, vmm_metrics_match match);

}  // namespace vmm

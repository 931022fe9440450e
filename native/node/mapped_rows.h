// MappedRows are the rows of cells that a thread has mapped for JavaScript. Each is unmapped when its ArrayBuffer is
// collected, which may be after the attachment is gone.
//
// Thread-safety:       a JavaScript thread, for its own environment.
// Async-signal-safety: none.

#pragma once

#include <node_api.h>

#include <memory>
#include <set>

#include "store/store.h"

namespace vmm {

using MappedRows = std::set<void*>;

struct RowHint {
  size_t bytes;
  std::shared_ptr<MappedRows> rows;
  Store* store;  // while the row is in `rows`
};

// The finalizer of a row's ArrayBuffer. Does without the store, which may be gone by then: a row without it is memory
// of its own.
inline void FreeRow(napi_env, void* address, void* data) {
  RowHint* hint = static_cast<RowHint*>(data);
  if (hint->rows->erase(address) != 0) hint->store->cells().region().ForgetRow(address);
  Region::UnmapRow(address, hint->bytes);
  delete hint;
}

}  // namespace vmm

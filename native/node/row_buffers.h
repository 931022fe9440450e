// The RowBuffers of an attachment are the rows of cells that JavaScript sees as ArrayBuffers. A row is unmapped when
// the garbage collector frees its ArrayBuffer, which may be after the attachment is gone.
//
// Thread-safety:       a JavaScript thread, for its own environment.
// Async-signal-safety: none.
// Lifetime:            the attachment and its ArrayBuffers share the set.

#pragma once

#include <node_api.h>

#include <memory>
#include <set>

#include "store/store.h"

namespace vmm {

using RowBuffers = std::set<void*>;

struct RowHint {
  size_t bytes;
  std::shared_ptr<RowBuffers> rows;
  Store* store;  // valid while the row is in `rows`
};

// The finalizer of a row's ArrayBuffer. It must not use the store of a row that is no longer in `rows`: the store may
// be gone, and the row is throwaway memory by then.
inline void FreeRow(napi_env, void* address, void* data) {
  RowHint* hint = static_cast<RowHint*>(data);
  if (hint->rows->erase(address) != 0) hint->store->cells().region().ForgetRow(address);
  Region::UnmapRow(address, hint->bytes);
  delete hint;
}

}  // namespace vmm

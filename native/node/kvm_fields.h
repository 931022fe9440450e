// The metrics that KVM's statistics become, for JavaScript.
//
// Thread-safety:       a JavaScript thread.
// Async-signal-safety: none.

#pragma once

#include "node/node_addon_api.h"

namespace vmm {

// kvmStatistics(vm, vcpu): { vm, vcpu }, each a list of { name, kind?, unit, leftOut }; or a failure with `isVcpu`.
// Both arguments are descriptors, or -1 for those of a VM that is made for this call and dropped again.
Napi::Value KvmStatisticsOf(const Napi::CallbackInfo& info);

}  // namespace vmm

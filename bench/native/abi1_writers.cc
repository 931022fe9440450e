// The same loop as IncConstants of writers.cc, with version 1 of the public header, whose metrics are looked up by
// name.

#include "abi1_writers.h"

#include "../../test/addon/abi1/vmm_metrics.h"

static_assert(VMM_METRICS_ABI_VERSION == 1);

const char* IncWithAbi1(napi_env env, napi_value native, const std::array<std::string, 4>& paths, int times) {
  vmm_metrics_store store;
  vmm_metrics_status status = vmm_metrics_attach(env, native, 0, &store);
  if (status != VMM_METRICS_OK) return vmm_metrics_status_text(status);
  vmm_metrics_metric metrics[4];
  for (size_t i = 0; i < 4 && status == VMM_METRICS_OK; i++) {
    status = vmm_metrics_find(&store, paths[i].c_str(), VMM_METRICS_INC, &metrics[i]);
  }
  vmm_metrics_shard shard;
  if (status == VMM_METRICS_OK) status = vmm_metrics_claim(&store, &shard);
  if (status == VMM_METRICS_OK) {
    for (int i = 0; i < times; i += 4) {
      for (const vmm_metrics_metric metric : metrics) vmm_metrics_add(&shard, metric, 1);
    }
    vmm_metrics_give_back(&store, &shard);
  }
  vmm_metrics_detach(&store);
  return status == VMM_METRICS_OK ? nullptr : vmm_metrics_status_text(status);
}

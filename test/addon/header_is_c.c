/* The public header is C: this file does in C what writers.cc does in C++. */
#include "vmm_metrics.h"

vmm_metrics_status count_in_c(const vmm_metrics_store* store, const char* path, uint64_t n) {
  vmm_metrics_metric metric;
  vmm_metrics_shard shard;
  vmm_metrics_status status = vmm_metrics_find(store, path, VMM_METRICS_INC, &metric);
  if (status != VMM_METRICS_OK) return status;
  status = vmm_metrics_claim(store, &shard);
  if (status != VMM_METRICS_OK) return status;
  vmm_metrics_add(&shard, metric, n);
  vmm_metrics_give_back(store, &shard);
  return VMM_METRICS_OK;
}

/* A native writer in C11. It looks its metrics up by name. */

#include <node_api.h>
#include <pthread.h>
#include <string.h>

#include "vmm_metrics.h"

#define MAX_THREADS 64
#define TEXT_BYTES 256

struct vm {
  vmm_metrics_store store;
  vmm_metrics_metric exits, exit_time, state, flushes;
  vmm_metrics_histogram halted, flush_bytes;
  vmm_metrics_device drive;
  uint32_t times;
};

static void* run_vcpu(void* argument) {
  const struct vm* vm = argument;
  vmm_metrics_shard shard;
  uint32_t i;
  vmm_metrics_current(&vm->store, &shard); /* given back when this thread ends */
  vmm_metrics_set(&shard, vm->state, 1);
  for (i = 0; i < vm->times; i++) {
    const uint64_t start_ns = vmm_metrics_now_ns();
    vmm_metrics_add(&shard, vm->exits, 1);
    vmm_metrics_histogram_observe_ns(&shard, vm->halted, 1000u * (uint64_t)i + 999u);
    if (i % 10 == 0) {
      vmm_metrics_add(&shard, vm->flushes, 1);
      vmm_metrics_histogram_observe(&shard, vm->flush_bytes, i);
    }
    vmm_metrics_observe_ns(&shard, vm->exit_time, vmm_metrics_now_ns() - start_ns);
  }
  vmm_metrics_set(&shard, vm->state, 0);
  return NULL;
}

/* Finds a metric. The first failure stays in `text`. */
static void find(const struct vm* vm, const char* path, vmm_metrics_kind kind, vmm_metrics_metric* out, char* text) {
  const vmm_metrics_status status = vmm_metrics_find(&vm->store, path, kind, out);
  if (status != VMM_METRICS_OK && text[0] == 0) vmm_metrics_explain(status, path, text, TEXT_BYTES);
}

static void run(struct vm* vm, uint32_t threads, char* text) {
  pthread_t vcpus[MAX_THREADS];
  vmm_metrics_status status;
  uint32_t started = 0;
  find(vm, "vcpu.exit_io_out", VMM_METRICS_INC, &vm->exits, text);
  find(vm, "vcpu.exit_io_out_agg", VMM_METRICS_LATENCY, &vm->exit_time, text);
  find(vm, "vcpu.state", VMM_METRICS_STORE, &vm->state, text);
  if (text[0] != 0) return;
  status = vmm_metrics_find_histogram(&vm->store, NULL, "vcpu.halt_agg", &vm->halted);
  if (status != VMM_METRICS_OK) {
    vmm_metrics_explain(status, "vcpu.halt_agg", text, TEXT_BYTES);
    return;
  }
  status = vmm_metrics_alloc_device(&vm->store, "pmem", "drv0", strlen("drv0"), &vm->drive);
  if (status == VMM_METRICS_OK) {
    status = vmm_metrics_find_in_device(&vm->store, vm->drive, "flush_count", VMM_METRICS_INC, &vm->flushes);
  }
  if (status == VMM_METRICS_OK) {
    status = vmm_metrics_find_histogram(&vm->store, &vm->drive, "flush_bytes", &vm->flush_bytes);
  }
  if (status != VMM_METRICS_OK) {
    vmm_metrics_explain(status, "pmem 'drv0'", text, TEXT_BYTES);
    return;
  }
  while (started < threads && started < MAX_THREADS && pthread_create(&vcpus[started], NULL, run_vcpu, vm) == 0) started++;
  while (started > 0) pthread_join(vcpus[--started], NULL);
  vmm_metrics_release_device(&vm->store, vm->drive);
}

/* run(metrics.native, threads, times): "", or why nothing was counted. */
static napi_value run_from_javascript(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  napi_value said;
  size_t count = 3;
  uint32_t threads = 0;
  char text[TEXT_BYTES] = "";
  struct vm vm;
  vmm_metrics_status status;
  memset(&vm, 0, sizeof(vm));
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  napi_get_value_uint32(env, arguments[1], &threads);
  napi_get_value_uint32(env, arguments[2], &vm.times);
  status = vmm_metrics_attach(env, arguments[0], 0, &vm.store);
  if (status == VMM_METRICS_OK) {
    run(&vm, threads, text);
    vmm_metrics_detach(&vm.store);
  } else {
    vmm_metrics_explain(status, "metrics", text, sizeof(text));
  }
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &said);
  return said;
}

NAPI_MODULE_INIT(/* napi_env env, napi_value exports */) {
  napi_value function;
  napi_create_function(env, "run", NAPI_AUTO_LENGTH, run_from_javascript, NULL, &function);
  napi_set_named_property(env, exports, "run", function);
  return exports;
}

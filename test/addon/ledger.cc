#include "ledger.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "addon.h"
#include "vmm_metrics.h"

namespace {

constexpr size_t kSlotWords = 16;  // a cache line
constexpr size_t kSlots = 8;
constexpr size_t kLedgerBytes = (kSlots + 1) * kSlotWords * sizeof(uint32_t);

std::atomic<std::atomic<uint32_t>*> g_words{nullptr};

std::atomic<uint32_t>& Word(size_t slot, size_t word) { return g_words.load()[(slot + 1) * kSlotWords + word]; }

// mapLedger(path): an ArrayBuffer over the ledger. Each thread has its own mapping, since V8 allows only one buffer
// over an address.
napi_value MapLedger(napi_env env, napi_callback_info info) {
  const int fd = open(StringArgument(env, info, 0).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, kLedgerBytes) != 0) return nullptr;
  void* memory = mmap(nullptr, kLedgerBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (memory == MAP_FAILED) return nullptr;
  std::atomic<uint32_t>* none = nullptr;
  g_words.compare_exchange_strong(none, static_cast<std::atomic<uint32_t>*>(memory));
  napi_value buffer;
  return napi_create_external_arraybuffer(env, memory, kLedgerBytes, nullptr, nullptr, &buffer) == napi_ok ? buffer : nullptr;
}

napi_value MarkFaultHere(napi_env, napi_callback_info) {
  MarkFault();
  return nullptr;
}

// registerWriter(slot): this thread is the writer of the slot.
napi_value RegisterWriter(napi_env env, napi_callback_info info) {
  Word(static_cast<size_t>(NumberArgument(env, info, 0)), 2) = static_cast<uint32_t>(syscall(SYS_gettid));
  return nullptr;
}

// startWriter(slot, path, how): starts a thread that repeatedly adds 1, in its own shard or in the shared shard, and
// acknowledges it.
napi_value StartWriter(napi_env env, napi_callback_info info) {
  const size_t slot = static_cast<size_t>(NumberArgument(env, info, 0));
  const vmm_metrics_store& store = AttachedStore();
  vmm_metrics_metric metric;
  const vmm_metrics_status status = vmm_metrics_find(&store, StringArgument(env, info, 1).c_str(), VMM_METRICS_INC, &metric);
  if (status != VMM_METRICS_OK) return Text(env, vmm_metrics_status_text(status));
  const bool shared = StringArgument(env, info, 2) == "shared";
  std::thread([slot, metric, shared, &store] {
    Word(slot, 2) = static_cast<uint32_t>(syscall(SYS_gettid));
    vmm_metrics_shard shard;
    if (shared) {
      vmm_metrics_shared_shard(&store, &shard);
    } else {
      vmm_metrics_claim(&store, &shard);
    }
    std::atomic<uint32_t>& finished = Word(slot, 0);
    // Release: a thread that sees the acknowledgement sees the increment too.
    for (uint32_t n = 1; g_words.load()[0].load(std::memory_order_relaxed) == 0; n++) {
      vmm_metrics_add(&shard, metric, 1);
      finished.store(n, std::memory_order_release);
    }
    for (;;) pause();  // the thread keeps its shard until the process dies
  }).detach();
  return Text(env, "ok");
}

// shoot(signal, slot, delayUs): sends the signal to the writer of the slot, whatever the writer does at that time.
napi_value Shoot(napi_env env, napi_callback_info info) {
  const int signal = static_cast<int>(NumberArgument(env, info, 0));
  const size_t slot = static_cast<size_t>(NumberArgument(env, info, 1));
  const long delay_us = static_cast<long>(NumberArgument(env, info, 2));
  std::thread([=] {
    const timespec delay = {delay_us / 1'000'000, delay_us % 1'000'000 * 1000};
    nanosleep(&delay, nullptr);
    MarkFault();
    syscall(SYS_tgkill, getpid(), Word(slot, 2).load(), signal);
  }).detach();
  return nullptr;
}

}  // namespace

void MarkFault() {
  std::atomic<uint32_t>* words = g_words.load();
  if (words == nullptr) return;
  if (words[1].load() != 0) words[0].store(1);
  // Acquire: pairs with the release of the writers.
  for (size_t slot = 0; slot < kSlots; slot++) Word(slot, 1).store(Word(slot, 0).load(std::memory_order_acquire));
}

void DefineLedger(napi_env env, napi_value exports) {
  Define(env, exports, "mapLedger", MapLedger);
  Define(env, exports, "markFault", MarkFaultHere);
  Define(env, exports, "registerWriter", RegisterWriter);
  Define(env, exports, "startWriter", StartWriter);
  Define(env, exports, "shoot", Shoot);
}

// A native thread that holds devices while others add and remove them. Each round, it counts through the current device
// and through the device of the round before, which may have been removed. It then releases the older device.

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "addon.h"
#include "vmm_metrics.h"

namespace {

class Turnover {
 public:
  Turnover(const vmm_metrics_store& store, std::string group, std::string id, std::string field)
      : store_(store), group_(std::move(group)), id_(std::move(id)), field_(std::move(field)), thread_([this] { Run(); }) {}

  ~Turnover() {
    Tell(kEnd);
    thread_.join();
  }

  // One round; returns the first status that was not VMM_METRICS_OK.
  vmm_metrics_status Round() {
    Tell(kRound);
    return status_;
  }

 private:
  enum Command { kNone, kRound, kEnd };

  void Tell(Command command) {
    std::unique_lock<std::mutex> lock(mutex_);
    command_ = command;
    changed_.notify_all();
    changed_.wait(lock, [this] { return command_ == kNone; });
  }

  void Run() {
    vmm_metrics_shard shard;
    Note(vmm_metrics_claim(&store_, &shard));
    vmm_metrics_device before;
    vmm_metrics_metric metric_before;
    bool has_before = false;
    std::unique_lock<std::mutex> lock(mutex_);
    for (bool is_over = false; !is_over;) {
      changed_.wait(lock, [this] { return command_ != kNone; });
      is_over = command_ == kEnd;
      vmm_metrics_device device;
      vmm_metrics_metric metric;
      if (!is_over) {
        Note(vmm_metrics_alloc_device(&store_, group_.c_str(), id_.data(), id_.size(), &device));
        Note(vmm_metrics_find_in_device(&store_, device, field_.c_str(), VMM_METRICS_INC, &metric));
        vmm_metrics_add(&shard, metric, 1);
      }
      if (has_before) {
        vmm_metrics_add(&shard, metric_before, 1);
        Note(vmm_metrics_release_device(&store_, before));
      }
      has_before = !is_over;
      if (has_before) before = device, metric_before = metric;
      if (is_over) vmm_metrics_give_back(&store_, &shard);
      command_ = kNone;
      changed_.notify_all();
    }
  }

  void Note(vmm_metrics_status status) {
    if (status_ == VMM_METRICS_OK) status_ = status;
  }

  const vmm_metrics_store store_;
  const std::string group_, id_, field_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Command command_ = kNone;
  vmm_metrics_status status_ = VMM_METRICS_OK;
  std::thread thread_;
};

vmm_metrics_store g_store = {nullptr};
Turnover* g_turnover = nullptr;

// startTurnover(external, group, id, field): the status as text.
napi_value Start(napi_env env, napi_callback_info info) {
  const vmm_metrics_status status = vmm_metrics_attach(env, Argument(env, info, 0), 0, &g_store);
  if (status == VMM_METRICS_OK) {
    g_turnover = new Turnover(g_store, StringArgument(env, info, 1), StringArgument(env, info, 2), StringArgument(env, info, 3));
  }
  return Text(env, vmm_metrics_status_text(status));
}

// turn(): one round, which adds 2 (the first round adds 1); the status as text.
napi_value Turn(napi_env env, napi_callback_info) { return Text(env, vmm_metrics_status_text(g_turnover->Round())); }

// endTurnover(): adds 1 more through the last handle and releases the handle.
napi_value End(napi_env, napi_callback_info) {
  delete g_turnover;
  g_turnover = nullptr;
  vmm_metrics_detach(&g_store);
  return nullptr;
}

}  // namespace

void DefineTurnover(napi_env env, napi_value exports) {
  Define(env, exports, "startTurnover", Start);
  Define(env, exports, "turn", Turn);
  Define(env, exports, "endTurnover", End);
}

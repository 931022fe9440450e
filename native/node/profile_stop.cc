#include "node/profile_stop.h"

#include <system_error>
#include <thread>

#include "base/asynchronous_signals.h"
#include "node/napi_util.h"

namespace vmm {

namespace {

// A stop runs on a thread of its own and then resolves a promise. It may take a second, and the threads of Node's pool
// may all be busy for longer.
struct Stopping {
  const StartedProfile started;
  napi_deferred deferred = nullptr;
  napi_threadsafe_function done = nullptr;
  std::thread thread;
  ProfileResult result;

  explicit Stopping(const StartedProfile& its_started) : started(its_started) {}
  void Stop() { result = started.store->profiler().Stop(started.profile); }
};

Napi::Value ToFigures(Napi::Env env, const ProfileResult& result) {
  Napi::Object figures = Napi::Object::New(env);
  figures.Set("samples", static_cast<double>(result.samples));
  figures.Set("missedTicks", static_cast<double>(result.missed_ticks));
  figures.Set("backOffs", static_cast<double>(result.back_offs));
  figures.Set("lateNsMedian", static_cast<double>(result.late_ns_median));
  figures.Set("lateNsP99", static_cast<double>(result.late_ns_p99));
  figures.Set("lateNsMax", static_cast<double>(result.late_ns_max));
  if (!result.status.ok()) figures.Set("failure", ToFailure(env, result.status));
  return figures;
}

// A cleanup hook: the thread must not use `done` after the environment has ended. The wait is short, since a stop is
// bounded.
void AwaitStopping(void* stopping) { static_cast<Stopping*>(stopping)->thread.join(); }

// Runs on the JavaScript thread. `env` is null when the environment has ended.
void ResolveStopping(napi_env env, napi_value, void*, void* data) {
  const std::unique_ptr<Stopping> stopping(static_cast<Stopping*>(data));
  if (env == nullptr) return;
  stopping->thread.join();
  napi_remove_env_cleanup_hook(env, AwaitStopping, data);
  napi_release_threadsafe_function(stopping->done, napi_tsfn_release);
  try {
    napi_resolve_deferred(env, stopping->deferred, ToFigures(env, stopping->result));
  } catch (const Napi::Error&) {
    // The worker is being terminated, and no JavaScript waits for the promise.
  }
}

// False: the thread could not be started.
bool StartStopping(Stopping* stopping) {
  const AsynchronousSignalsBlocked blocked;
  try {
    stopping->thread = std::thread([stopping] {
      stopping->Stop();
      napi_call_threadsafe_function(stopping->done, stopping, napi_tsfn_nonblocking);
    });
  } catch (const std::system_error&) {
    return false;
  }
  return true;
}

}  // namespace

Napi::Value StopProfiling(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto stopping = std::make_unique<Stopping>(*info[0].As<Napi::External<StartedProfile>>().Data());
  stopping->started.profile->AskToStop();
  napi_value promise = nullptr;
  napi_create_promise(env, &stopping->deferred, &promise);
  const Napi::String name = Napi::String::New(env, "vmm-metrics.stopProfiling");
  const bool has_done = napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, nullptr,
                                                        ResolveStopping, &stopping->done) == napi_ok;
  if (has_done && StartStopping(stopping.get())) {
    // Registered after the hook of `done`: hooks run in reverse.
    napi_add_env_cleanup_hook(env, AwaitStopping, stopping.release());
    return Napi::Value(env, promise);
  }
  // There is no thread for the stop, so stop on this one. The wait is bounded as well.
  if (has_done) napi_release_threadsafe_function(stopping->done, napi_tsfn_release);
  stopping->Stop();
  napi_resolve_deferred(env, stopping->deferred, ToFigures(env, stopping->result));
  return Napi::Value(env, promise);
}

}  // namespace vmm

// The part of Attachment that reports what went wrong in the store.

#include "base/signal_kinds.h"
#include "node/attachment.h"
#include "node/napi_util.h"

namespace vmm {

void Attachment::Listen(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Store* const store = Attached(info);
  if (store->troubles().HasListened()) return;
  const Napi::String name = Napi::String::New(env, "vmm-metrics.troubles");
  napi_threadsafe_function call = nullptr;
  if (napi_create_threadsafe_function(env, info[0], nullptr, name, 0, 1, nullptr, nullptr, nullptr, nullptr, &call) != napi_ok)
    return;
  napi_unref_threadsafe_function(env, call);
  // Each call is one task of the event loop, which takes all that is there. A second task finds nothing.
  if (!store->troubles().Listen(this, [call] { napi_call_threadsafe_function(call, nullptr, napi_tsfn_nonblocking); })) {
    napi_release_threadsafe_function(call, napi_tsfn_abort);
    return;
  }
  trouble_call_ = call;
  // Register our hook again, after the hook of `call`. Hooks run in reverse, so ours ends the calls before Node
  // destroys the function.
  napi_remove_env_cleanup_hook(env_, LeaveEnvironment, this);
  napi_add_env_cleanup_hook(env_, LeaveEnvironment, this);
}

Napi::Value Attachment::TakeTroubles(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Troubles::Taken taken = Attached(info)->troubles().Take();
  Napi::Object out = Napi::Object::New(env);
  Napi::Array missed = Napi::Array::New(env, taken.missed.size());
  for (uint32_t i = 0; i < taken.missed.size(); i++) missed[i] = ToFailure(env, taken.missed[i]);
  out.Set("missed", missed);
  out.Set("isDegraded", taken.is_degraded);
  out.Set("displaced", ToNumbers(env, taken.displaced));
  out.Set("hasLostKvm", taken.has_lost_kvm);
  return out;
}

}  // namespace vmm

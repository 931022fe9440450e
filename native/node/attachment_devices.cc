// The devices of a store as a JavaScript thread sees them, and how the thread lets go of removed devices.

#include <algorithm>
#include <vector>

#include "node/attachment.h"
#include "node/napi_util.h"

namespace vmm {

Napi::Value Attachment::TakeSnapshot(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Store::Snapshot snapshot = Attached(info)->TakeSnapshot();
  snapshot_changes_ = snapshot.device_changes;
  Napi::BigUint64Array totals = Napi::BigUint64Array::New(env, snapshot.totals.size());
  std::copy(snapshot.totals.begin(), snapshot.totals.end(), totals.Data());
  Napi::Array groups = Napi::Array::New(env, snapshot.ids.size());
  for (uint32_t g = 0; g < snapshot.ids.size(); g++) {
    Napi::Array ids = Napi::Array::New(env, snapshot.ids[g].size());
    for (uint32_t i = 0; i < snapshot.ids[g].size(); i++) ids[i] = snapshot.ids[g][i];
    groups[g] = ids;
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("totals", totals);
  out.Set("ids", groups);
  return out;
}

Napi::Value Attachment::TakeTotals(const Napi::CallbackInfo& info) {
  Napi::BigUint64Array totals = info[0].As<Napi::BigUint64Array>();
  return Napi::Boolean::New(info.Env(), Attached(info)->TakeTotals(snapshot_changes_, totals.Data(), totals.ElementLength()));
}

Napi::Value Attachment::AllocDevice(const Napi::CallbackInfo& info) {
  const Device* device = nullptr;
  const Status status = Attached(info)->AllocDevice(Uint32Of(info[0]), info[1].As<Napi::String>().Utf8Value(), &device);
  if (!status.ok()) return ToFailure(info.Env(), status);
  return Napi::Number::New(info.Env(), device->first_cell);
}

Napi::Value Attachment::RemoveDevice(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(),
                            Attached(info)->RemoveDevice(Uint32Of(info[0]), info[1].As<Napi::String>().Utf8Value(), &holder_));
}

Napi::Value Attachment::LivingDevices(const Napi::CallbackInfo& info) {
  const std::vector<Devices::Entry> living = Attached(info)->LivingDevices(Uint32Of(info[0]));
  Napi::Array out = Napi::Array::New(info.Env(), living.size());
  for (uint32_t i = 0; i < living.size(); i++) {
    Napi::Object entry = Napi::Object::New(info.Env());
    entry.Set("id", living[i].id);
    entry.Set("firstCell", living[i].device->first_cell);
    entry.Set("removed", false);
    out[i] = entry;
  }
  return out;
}

void Attachment::Watch(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Store* const store = Attached(info);
  if (is_holder_) return;
  is_holder_ = true;
  const Napi::String name = Napi::String::New(env, "vmm-metrics.letGo");
  if (napi_create_threadsafe_function(env, info[0], nullptr, name, 0, 1, nullptr, nullptr, this, CallLetGo, &call_) == napi_ok) {
    napi_unref_threadsafe_function(env, call_);
    holder_.call = [call = call_] { napi_call_threadsafe_function(call, nullptr, napi_tsfn_nonblocking); };
    // Register our hook again, after the hook of `call_`. Hooks run in reverse, so ours ends the calls before Node
    // destroys the function.
    napi_remove_env_cleanup_hook(env_, LeaveEnvironment, this);
    napi_add_env_cleanup_hook(env_, LeaveEnvironment, this);
  }
  // Without `call_`, the thread lets go when JavaScript next uses devices.
  store->AddHolder(&holder_);
}

void Attachment::CallLetGo(napi_env env, napi_value callback, void* self, void*) {
  if (env == nullptr) return;  // Node is destroying the function, and `self` may be gone
  // Relaxed: publishes nothing. A device that leaves after this causes another call. If a device left before this, the
  // callback finds it under the lock.
  static_cast<Attachment*>(self)->holder_.is_called.store(false, std::memory_order_relaxed);
  napi_value undefined = nullptr, result = nullptr;
  napi_get_undefined(env, &undefined);
  // A worker that is being terminated runs no JavaScript. It lets go when its attachment leaves.
  if (napi_call_function(env, undefined, callback, 0, nullptr, &result) == napi_pending_exception) {
    napi_get_and_clear_last_exception(env, &result);
  }
}

Napi::Value Attachment::Leaving(const Napi::CallbackInfo& info) {
  Store* const store = Attached(info);
  if (!is_holder_ || !store->HasLeaving(holder_)) return info.Env().Undefined();
  const std::vector<Removed> leaving = store->LeavingOf(holder_, &offered_);
  Napi::Uint32Array out = Napi::Uint32Array::New(info.Env(), 2 * leaving.size());
  for (size_t i = 0; i < leaving.size(); i++) {
    out[2 * i] = leaving[i].group;
    out[2 * i + 1] = leaving[i].device->first_cell;
  }
  return out;
}

void Attachment::LetGo(const Napi::CallbackInfo&) {
  // Release: pairs with the acquire in Leaving::Take, and publishes this thread's plain adds.
  if (!left_ && is_holder_) holder_.seen.store(offered_, std::memory_order_release);
}

Napi::Value Attachment::RestCell(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Attached(info)->RestOf(Uint32Of(info[0])));
}

}  // namespace vmm

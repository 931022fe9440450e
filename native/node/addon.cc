// The addon's exports. Native code does not check again what TypeScript has checked.
//
// Per environment: the thread's alternate stack and its attachments, which cleanup hooks free. Per process: the stores
// and the signal handlers.

#include <time.h>

#include <array>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/sha256.h"
#include "crash/alternate_stack.h"
#include "node/attachment.h"
#include "node/exposition.h"
#include "node/file_sampling.h"
#include "node/format_table.h"
#include "node/known_regions.h"
#include "node/kvm_fields.h"
#include "node/node_addon_api.h"
#include "node/profile_stop.h"
#include "node/region_access.h"
#include "store/copies.h"
#include "store/version.h"

namespace vmm {

namespace {

// openStores(): the open stores of all copies of the addon in this process: { name, fingerprint, addon? }.
Napi::Value AllOpenStores(const Napi::CallbackInfo& info) {
  const std::vector<OpenStore> all = OpenStores();
  Napi::Array out = Napi::Array::New(info.Env(), all.size());
  for (uint32_t i = 0; i < all.size(); i++) {
    Napi::Object one = Napi::Object::New(info.Env());
    one.Set("name", all[i].name);
    one.Set("fingerprint", Napi::BigInt::New(info.Env(), all[i].schema_fingerprint));
    if (!all[i].addon.empty()) one.Set("addon", all[i].addon);
    out[i] = one;
  }
  return out;
}

// isFirst(text): whether this is the first call with this text in this process.
Napi::Value AskIsFirst(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), IsFirst(info[0].As<Napi::String>().Utf8Value()));
}

// fingerprint(text): the first 8 bytes, little-endian, of the SHA-256 of the text as UTF-8.
Napi::Value Fingerprint(const Napi::CallbackInfo& info) {
  const std::string text = info[0].As<Napi::String>().Utf8Value();
  const std::array<uint8_t, 32> digest = Sha256(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  uint64_t fingerprint = 0;
  for (int i = 7; i >= 0; i--) fingerprint = fingerprint << 8 | digest[static_cast<size_t>(i)];
  return Napi::BigInt::New(info.Env(), fingerprint);
}

// clocks(): [CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID] in whole microseconds.
Napi::Value Clocks(const Napi::CallbackInfo& info) {
  Napi::BigUint64Array out = Napi::BigUint64Array::New(info.Env(), 2);
  const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID};
  for (size_t i = 0; i < 2; i++) {
    out[i] = static_cast<uint64_t>(ClockNs(clocks[i])) / 1000;
  }
  return out;
}

// The functions that the addon exports.
constexpr struct {
  const char* name;
  Napi::Value (*function)(const Napi::CallbackInfo& info);
} kFunctions[] = {
    {"openStores", AllOpenStores},
    {"isFirst", AskIsFirst},
    {"fingerprint", Fingerprint},
    {"open", Open},
    {"format", FormatTable},
    {"stopProfiling", StopProfiling},
    {"clocks", Clocks},
    {"kvmStatistics", KvmStatisticsOf},
    {"pages", Pages},
    {"isLocked", IsLocked},
    {"knownRegion", MakeKnownRegion},
    {"readKnownRegions", ReadKnownRegions},
    {"expositionFamilies", MakeExpositionFamilies},
    {"expositionSource", MakeExpositionSource},
    {"expositionText", MakeExpositionText},
    {"expositionTextBytes", ExpositionTextBytes},
    {"readExposition", ReadExposition},
    {"releaseExposition", ReleaseExposition},
    {"writeExposition", WriteExposition},
    {"lock", Lock},
    {"send", Send},
};

void FreeStackOf(void* hook) {
  void** const stack = static_cast<void**>(hook);
  FreeAlternateStack(*stack);
  delete stack;
}

Napi::Object InitAddon(Napi::Env env, Napi::Object exports) {
  // A worker's first Metrics.open() loads this addon. From then on, the signal handler has a stack of its own on that
  // thread, in case native code uses up the worker's stack. Another copy of the JavaScript may load the addon again on
  // the same thread, and gets the same stack. Since the data of two hooks must differ, each hook gets its own pointer.
  if (void* stack = MakeAlternateStack(); stack != nullptr) napi_add_env_cleanup_hook(env, FreeStackOf, new void*(stack));
  env.SetInstanceData(new EnvironmentData{Napi::Persistent(Attachment::Define(env))});
  exports.Set("version", kVersion);
  for (const auto& [name, function] : kFunctions) exports.Set(name, Napi::Function::New(env, function, name));
  exports.Set("FileSampler", DefineFileSampling(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(vmm_metrics, InitAddon)

}  // namespace vmm

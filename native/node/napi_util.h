// How values cross between JavaScript and the native library. With addon.cc the only place that knows Node-API.
//
// Thread-safety:       a JavaScript thread, for its own environment.
// Async-signal-safety: none.

#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "base/status.h"

namespace vmm {

// A failure as TypeScript makes an error of it: `{ reason, errno, syscall }`.
inline Napi::Value ToFailure(Napi::Env env, const Status& status) {
  const char* reason = "memory";
  switch (status.code) {
    case Code::kOk: return env.Undefined();
    case Code::kMemory: reason = "memory"; break;
    case Code::kOpen: reason = "open"; break;
    case Code::kWrite: reason = "write"; break;
    case Code::kThread: reason = "thread"; break;
    case Code::kRegion: reason = "region"; break;
    case Code::kForeign: reason = "foreign"; break;
    case Code::kBusy: reason = "busy"; break;
    case Code::kFull: reason = "full"; break;
    case Code::kTaken: reason = "taken"; break;
    case Code::kCrashing: reason = "crashing"; break;
    case Code::kLock: reason = "lock"; break;
  }
  Napi::Object failure = Napi::Object::New(env);
  failure["reason"] = reason;
  failure["errno"] = status.error;
  failure["syscall"] = status.syscall;
  return failure;
}

inline uint32_t Uint32Of(const Napi::Value& value) { return value.As<Napi::Number>().Uint32Value(); }

inline uint64_t Uint64Of(const Napi::Value& value) {
  bool lossless = true;
  return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

// The bytes of a typed array as elements of T, which must have no padding.
template <typename T>
std::vector<T> VectorOf(const Napi::Value& value) {
  const Napi::TypedArray array = value.As<Napi::TypedArray>();
  const char* bytes = static_cast<const char*>(array.ArrayBuffer().Data()) + array.ByteOffset();
  std::vector<T> out(array.ByteLength() / sizeof(T));
  if (!out.empty()) std::memcpy(static_cast<void*>(out.data()), bytes, out.size() * sizeof(T));
  return out;
}

inline std::vector<std::string> StringsOf(const Napi::Value& value) {
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> out;
  for (uint32_t i = 0; i < array.Length(); i++) out.push_back(array.Get(i).As<Napi::String>().Utf8Value());
  return out;
}

}  // namespace vmm

// Conversions of values between JavaScript and the native library.
//
// Thread-safety:       a JavaScript thread, for its own environment.
// Async-signal-safety: none.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/signal_kinds.h"
#include "base/status.h"
#include "crash/disposition.h"
#include "node/node_addon_api.h"

namespace vmm {

// A failure as `Failure` of lib/failures.ts: `{ code, errno, syscall, reason }`.
inline Napi::Value ToFailure(Napi::Env env, const Status& status) {
  const char* code = "";
  switch (status.code) {
    case Code::kOk: return env.Undefined();
    case Code::kMemory: code = "memory"; break;
    case Code::kOpen: code = "open"; break;
    case Code::kWrite: code = "write"; break;
    case Code::kThread: code = "thread"; break;
    case Code::kRegion: code = "region"; break;
    case Code::kWrongFile: code = "wrongFile"; break;
    case Code::kBusy: code = "busy"; break;
    case Code::kKeyTaken: code = "keyTaken"; break;
    case Code::kTooManyDevices: code = "tooManyDevices"; break;
    case Code::kTooManyCells: code = "tooManyCells"; break;
    case Code::kLineTooLong: code = "lineTooLong"; break;
    case Code::kTooManyFiles: code = "tooManyFiles"; break;
    case Code::kTooManyCaptured: code = "tooManyCaptured"; break;
    case Code::kAlreadyRunning: code = "alreadyRunning"; break;
    case Code::kInvalid: code = "invalid"; break;
    case Code::kCrashing: code = "crashing"; break;
    case Code::kLock: code = "lock"; break;
    case Code::kNoStatistics: code = "noStatistics"; break;
  }
  Napi::Object failure = Napi::Object::New(env);
  failure.Set("code", code);
  failure.Set("errno", status.error);
  failure.Set("syscall", status.syscall);
  failure.Set("reason", status.reason);
  return failure;
}

// The numbers of the signals of a set.
inline Napi::Array ToNumbers(Napi::Env env, SignalSet signals) {
  Napi::Array out = Napi::Array::New(env);
  for (int signal = 1; signal < kSignals; signal++) {
    if ((signals & SetOf(signal)) != 0) out[out.Length()] = Napi::Number::New(env, signal);
  }
  return out;
}

inline uint32_t Uint32Of(const Napi::Value& value) { return value.As<Napi::Number>().Uint32Value(); }

inline uint64_t Uint64Of(const Napi::Value& value) {
  bool lossless = true;
  return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

// The memory of a typed array, until JavaScript runs again.
inline std::string_view BytesOf(const Napi::Value& value) {
  const Napi::TypedArray array = value.As<Napi::TypedArray>();
  return {static_cast<const char*>(array.ArrayBuffer().Data()) + array.ByteOffset(), array.ByteLength()};
}

// The bytes of a typed array, as elements of T. T must have no padding.
template <typename T>
std::vector<T> VectorOf(const Napi::Value& value) {
  const std::string_view bytes = BytesOf(value);
  std::vector<T> out(bytes.size() / sizeof(T));
  if (!out.empty()) std::memcpy(static_cast<void*>(out.data()), bytes.data(), out.size() * sizeof(T));
  return out;
}

inline std::vector<std::string> StringsOf(const Napi::Value& value) {
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> out;
  for (uint32_t i = 0; i < array.Length(); i++) out.push_back(array.Get(i).As<Napi::String>().Utf8Value());
  return out;
}

}  // namespace vmm

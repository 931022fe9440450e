// The methods and accessors of a JavaScript class, as a table. node-addon-api has a template that makes one function
// for each method, with all that a call needs; here all methods of a class share one.
//
// Thread-safety:       a JavaScript thread, for its own environment.
// Async-signal-safety: none.
// Lifetime:            a table is constant, and JavaScript's functions point into it.

#pragma once

#include <vector>

#include "node/node_addon_api.h"

namespace vmm {

// A method, or with kGetter an accessor that cannot be set. T derives from Napi::ObjectWrap<T>.
template <typename T>
class Method {
 public:
  using Returning = Napi::Value (T::*)(const Napi::CallbackInfo& info);
  using Doing = void (T::*)(const Napi::CallbackInfo& info);
  enum Kind : bool { kMethod, kGetter };

  constexpr Method(const char* name, Returning function, Kind kind = kMethod) : name_(name), returning_(function), kind_(kind) {}
  constexpr Method(const char* name, Doing function) : name_(name), doing_(function) {}

  template <size_t n>
  static std::vector<Napi::ClassPropertyDescriptor<T>> Describe(const Method (&table)[n]) {
    std::vector<Napi::ClassPropertyDescriptor<T>> out;
    for (const Method& one : table) {
      napi_property_descriptor described = {};
      described.utf8name = one.name_;
      (one.kind_ == kGetter ? described.getter : described.method) = Call;
      described.data = const_cast<Method*>(&one);
      out.push_back(described);
    }
    return out;
  }

 private:
  static napi_value Call(napi_env env, napi_callback_info raw) noexcept {
    return Napi::details::WrapCallback(env, [&]() -> napi_value {
      const Napi::CallbackInfo info(env, raw);
      const Method& method = *static_cast<const Method*>(info.Data());
      T* const self = T::Unwrap(info.This().As<Napi::Object>());
      if (method.returning_ != nullptr) return (self->*method.returning_)(info);
      (self->*method.doing_)(info);
      return nullptr;
    });
  }

  const char* name_;
  Returning returning_ = nullptr;
  Doing doing_ = nullptr;
  Kind kind_ = kMethod;
};

}  // namespace vmm

// node-addon-api, with one function that throws the errors of Node-API.
//
// Nearly each call of node-addon-api can throw. The macro of napi.h puts the 200 bytes that make and throw the error at
// each of these calls, and the calls are inline. With the macro of this header, the throw is a call.
//
// Thread-safety:       a JavaScript thread, for its own environment.
// Async-signal-safety: none.

#pragma once

// napi.h ends with the definitions, and this guard keeps them out of it. They follow below.
#define SRC_NAPI_INL_H_
#include <napi.h>
#undef SRC_NAPI_INL_H_

namespace vmm {

// Throws the JavaScript exception that is pending, or what Node-API says about its last call.
[[noreturn]] void ThrowLastError(napi_env env);

}  // namespace vmm

#undef NAPI_THROW_IF_FAILED
#undef NAPI_THROW_IF_FAILED_VOID
#define NAPI_THROW_IF_FAILED(env, status, ...) \
  if ((status) != napi_ok) ::vmm::ThrowLastError(env)
#define NAPI_THROW_IF_FAILED_VOID(env, status) \
  if ((status) != napi_ok) ::vmm::ThrowLastError(env)

#include <napi-inl.h>

namespace vmm {

[[noreturn, gnu::noinline, gnu::cold]] inline void ThrowLastError(napi_env env) { throw Napi::Error::New(env); }

}  // namespace vmm

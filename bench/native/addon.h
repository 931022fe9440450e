// The native half of the benchmarks: yardsticks, loops that count in C++, and the start and the end of the time that a
// crash takes. It uses stores as another package would, through the public header alone; only kvm.cc measures a part of
// the library by itself.
//
// Thread-safety: each function is for the JavaScript thread of its environment.
#pragma once

#include <napi.h>

void DefineAppends(Napi::Env env, Napi::Object exports);
void DefineKvm(Napi::Env env, Napi::Object exports);
void DefineStopwatch(Napi::Env env, Napi::Object exports);
void DefineWriters(Napi::Env env, Napi::Object exports);
void DefineYardstick(Napi::Env env, Napi::Object exports);

// The native half of the benchmarks: yardsticks, and both ends of what is timed from outside of JavaScript. Another
// package's code, which knows nothing of vmm-metrics but its public header.
// Thread-safety: each function is for the thread that calls it.
#pragma once

#include <napi.h>

void DefineStopwatch(Napi::Env env, Napi::Object exports);
void DefineWriters(Napi::Env env, Napi::Object exports);
void DefineYardstick(Napi::Env env, Napi::Object exports);

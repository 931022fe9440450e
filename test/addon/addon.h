// A native addon for the tests. Like another package's addon, it uses only the public header of vmm-metrics.
#pragma once

#include <node_api.h>

#include <string>

#include "vmm_metrics.h"

void DefineDeaths(napi_env env, napi_value exports);
// Dies now, on this thread, in one of the ways of deaths.cc.
void Die(const std::string& how);

void DefineWriters(napi_env env, napi_value exports);
// The store of the last attach().
const vmm_metrics_store& AttachedStore();

void DefineHandlers(napi_env env, napi_value exports);
void DefineLedger(napi_env env, napi_value exports);
void DefineConfined(napi_env env, napi_value exports);
void DefineTurnover(napi_env env, napi_value exports);
void DefineKvm(napi_env env, napi_value exports);
void DefineStorm(napi_env env, napi_value exports);

void Define(napi_env env, napi_value exports, const char* name, napi_callback call);
std::string StringArgument(napi_env env, napi_callback_info info, size_t index);
double NumberArgument(napi_env env, napi_callback_info info, size_t index);
napi_value Argument(napi_env env, napi_callback_info info, size_t index);
napi_value Text(napi_env env, const char* text);

// Code that was built with version 1 of the public header.
#pragma once

#include <node_api.h>

#include <array>
#include <string>

// Attaches, and increments four metrics in turn, `times` times in all. Null, or what went wrong.
const char* IncWithAbi1(napi_env env, napi_value native, const std::array<std::string, 4>& paths, int times);

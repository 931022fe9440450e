#include "addon.h"

void Define(napi_env env, napi_value exports, const char* name, napi_callback call) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, call, nullptr, &function);
  napi_set_named_property(env, exports, name, function);
}

napi_value Argument(napi_env env, napi_callback_info info, size_t index) {
  size_t count = 8;
  napi_value arguments[8];
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  return arguments[index];
}

std::string StringArgument(napi_env env, napi_callback_info info, size_t index) {
  char text[512] = "";
  size_t bytes = 0;
  napi_get_value_string_utf8(env, Argument(env, info, index), text, sizeof(text), &bytes);
  return std::string(text, bytes);
}

double NumberArgument(napi_env env, napi_callback_info info, size_t index) {
  double number = 0;
  napi_get_value_double(env, Argument(env, info, index), &number);
  return number;
}

napi_value Text(napi_env env, const char* text) {
  napi_value value;
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
  return value;
}

NAPI_MODULE_INIT() {
  DefineDeaths(env, exports);
  DefineWriters(env, exports);
  DefineHandlers(env, exports);
  DefineStorm(env, exports);
  DefineLedger(env, exports);
  DefineConfined(env, exports);
  DefineTurnover(env, exports);
  DefineKvm(env, exports);
  return exports;
}

#include "addon.h"

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  DefineAppends(env, exports);
  DefineKvm(env, exports);
  DefineStopwatch(env, exports);
  DefineWriters(env, exports);
  DefineYardstick(env, exports);
  return exports;
}

NODE_API_MODULE(vmm_bench, Init)

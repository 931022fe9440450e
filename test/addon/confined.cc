// Deaths of a jailed process, which may make only the system calls that docs/crash-safety.md lists.

#include <dlfcn.h>

#include <thread>

#include "addon.h"
#include "confine.h"

namespace {

// watchHandler(signal): watches the signal's handler from now on; returns false if that is not possible. The process
// must have preloaded the handler watch.
napi_value WatchHandler(napi_env env, napi_callback_info info) {
  const auto watch = reinterpret_cast<bool (*)(int)>(dlsym(RTLD_DEFAULT, "vmm_watch_handler"));
  napi_value is_watched;
  napi_get_boolean(env, watch != nullptr && watch(static_cast<int>(NumberArgument(env, info, 0))), &is_watched);
  return is_watched;
}

// dieConfined(how, where): as die(), on the main thread or on a new thread.
napi_value DieConfined(napi_env env, napi_callback_info info) {
  const std::string how = StringArgument(env, info, 0);
  const auto die = [&how] {
    if (vmm::Confine(SECCOMP_RET_KILL_PROCESS)) Die(how);
  };
  if (StringArgument(env, info, 1) == "thread") std::thread(die).join();
  die();
  return nullptr;
}

// crashCalls(): the names of the allowed system calls.
napi_value CrashCalls(napi_env env, napi_callback_info) {
  napi_value names;
  napi_create_array(env, &names);
  for (uint32_t i = 0; i < vmm::kCrashCallCount; i++) napi_set_element(env, names, i, Text(env, vmm::kCrashCalls[i].name));
  return names;
}

}  // namespace

void DefineConfined(napi_env env, napi_value exports) {
  Define(env, exports, "watchHandler", WatchHandler);
  Define(env, exports, "dieConfined", DieConfined);
  Define(env, exports, "crashCalls", CrashCalls);
}

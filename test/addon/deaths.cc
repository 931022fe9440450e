// Ways for a VMM to die in native code, each for real: die(how, where).

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <exception>
#include <thread>

#include "addon.h"

namespace {

#pragma GCC diagnostic ignored "-Winfinite-recursion"

int Recurse(volatile char* above) {
  volatile char frame[4096];
  frame[0] = above[0];
  return Recurse(frame) + frame[0];  // not a tail call
}

// A guest memory file that somebody truncates.
void ReadTruncatedMapping() {
  char path[] = "/tmp/vmm-metrics-guest-XXXXXX";
  const int fd = mkstemp(path);
  unlink(path);
  if (ftruncate(fd, 4096) != 0) abort();
  volatile char* memory = static_cast<volatile char*>(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0));
  if (ftruncate(fd, 0) != 0) abort();
  (void)memory[0];
}

}  // namespace

void Die(const std::string& how) {
  if (how == "null") {
    volatile int* volatile nowhere = nullptr;
    *nowhere = 1;
  } else if (how == "overflow") {
    char start = 0;
    Recurse(&start);
  } else if (how == "illegal") {
    __builtin_trap();
  } else if (how == "divide") {
    volatile int zero = 0, some = 7;  // a constant numerator would be divided without a division
    volatile int result = some / zero;
    (void)result;
  } else if (how == "truncated") {
    ReadTruncatedMapping();
  } else if (how == "abort") {
    abort();
  } else if (how == "terminate") {
    std::terminate();
  } else if (how == "double-free") {
    void* volatile memory = malloc(24);
    void* volatile again = memory;
    free(memory);
    free(again);
  }
}

namespace {

napi_value DieHere(napi_env env, napi_callback_info info) {
  const std::string how = StringArgument(env, info, 0);
  const std::string where = StringArgument(env, info, 1);
  if (where == "thread") {
    std::thread([how] { Die(how); }).join();
  } else if (where == "pool") {
    // A thread of libuv's pool, which dies while the event loop goes on.
    struct Work {
      std::string how;
      napi_async_work work;
    };
    Work* work = new Work{how, nullptr};
    napi_create_async_work(
        env, nullptr, Text(env, "die"), [](napi_env, void* data) { Die(static_cast<Work*>(data)->how); },
        [](napi_env, napi_status, void*) {}, work, &work->work);
    napi_queue_async_work(env, work->work);
  } else {
    Die(how);
  }
  return nullptr;
}

}  // namespace

void DefineDeaths(napi_env env, napi_value exports) { Define(env, exports, "die", DieHere); }

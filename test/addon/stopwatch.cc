// The two ends of a crash's time, both by CLOCK_MONOTONIC: who dies says when, and who waits in a blocking read says
// when the line was there.

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <thread>

#include "addon.h"

namespace {

int64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

// dieTimed(path, where): a null dereference, on this thread or on one of its own. The moment before goes into the file,
// which has eight bytes.
napi_value DieTimed(napi_env env, napi_callback_info info) {
  const int fd = open(StringArgument(env, info, 0).c_str(), O_RDWR | O_CLOEXEC);
  void* const shared = mmap(nullptr, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  if (shared == MAP_FAILED) return Text(env, strerror(errno));
  const auto die = [shared] {
    volatile int* volatile nowhere = nullptr;
    *static_cast<volatile int64_t*>(shared) = NowNs();
    *nowhere = 1;
  };
  if (StringArgument(env, info, 1) == "thread") std::thread(die).join();
  die();
  return nullptr;
}

struct Waiting {
  int fd;
  int64_t line_ns = 0;
  napi_deferred deferred = nullptr;
  napi_async_work work = nullptr;
};

void ReadLine(napi_env, void* data) {
  Waiting& waiting = *static_cast<Waiting*>(data);
  static char bytes[1 << 16];
  for (ssize_t count; (count = read(waiting.fd, bytes, sizeof(bytes))) > 0;) {
    const int64_t now_ns = NowNs();
    if (bytes[count - 1] != '\n') continue;
    waiting.line_ns = now_ns;
    break;
  }
  close(waiting.fd);
}

void Resolve(napi_env env, napi_status, void* data) {
  Waiting* waiting = static_cast<Waiting*>(data);
  napi_value ns;
  napi_create_bigint_int64(env, waiting->line_ns, &ns);
  napi_resolve_deferred(env, waiting->deferred, ns);
  napi_delete_async_work(env, waiting->work);
  delete waiting;
}

// lineTime(fifo): when the end of a line was there, in nanoseconds; 0n when all writers left without one. One at a
// time.
napi_value LineTime(napi_env env, napi_callback_info info) {
  // It must not wait here for a writer, only later for the line.
  const int fd = open(StringArgument(env, info, 0).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  fcntl(fd, F_SETFL, 0);
  Waiting* waiting = new Waiting{fd};
  napi_value promise;
  napi_create_promise(env, &waiting->deferred, &promise);
  napi_create_async_work(env, nullptr, Text(env, "lineTime"), ReadLine, Resolve, waiting, &waiting->work);
  napi_queue_async_work(env, waiting->work);
  return promise;
}

}  // namespace

void DefineStopwatch(napi_env env, napi_value exports) {
  Define(env, exports, "dieTimed", DieTimed);
  Define(env, exports, "lineTime", LineTime);
}

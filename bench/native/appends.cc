// The least that a flush to a file can cost: the calls of the kernel alone.

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "addon.h"

namespace {

// append(path, line, times, asFlush): appends the line to the file. `asFlush`: with the other system calls of a flush,
// which are to block signals, to look whether the path still names the file, and to unblock the signals. False: a call
// failed.
Napi::Value Append(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  const std::string line = info[1].As<Napi::String>();
  const int times = info[2].As<Napi::Number>();
  const bool as_flush = info[3].As<Napi::Boolean>();
  sigset_t all, before;
  sigfillset(&all);
  const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  bool is_ok = fd >= 0;
  for (int i = 0; i < times && is_ok; i++) {
    struct stat named;
    if (as_flush) {
      pthread_sigmask(SIG_BLOCK, &all, &before);
      is_ok = stat(path.c_str(), &named) == 0;
    }
    is_ok = is_ok && write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
    if (as_flush) pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  close(fd);
  return Napi::Boolean::New(info.Env(), is_ok);
}

}  // namespace

void DefineAppends(Napi::Env env, Napi::Object exports) { exports["append"] = Napi::Function::New(env, Append); }

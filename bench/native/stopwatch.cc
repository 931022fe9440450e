// Times a crash, by CLOCK_MONOTONIC at both ends. The dying process records the time of its fault. A reader in a
// blocking read records the time at which the bytes, or the end of the pipe, arrive.

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <thread>

#include "addon.h"
#include "base/clock.h"
#include "fault_time.h"

namespace {

// dieTimed(path, where): dereferences null, on this thread ('main') or on a thread of its own ('thread'). Before
// that, it writes the time to the 8-byte file at `path`. Returns only if that file cannot be mapped, and says why.
Napi::Value DieTimed(const Napi::CallbackInfo& info) {
  volatile int64_t* const fault_ns = MapFaultTime(info[0].As<Napi::String>().Utf8Value().c_str());
  if (fault_ns == nullptr) return Napi::String::New(info.Env(), strerror(errno));
  if (info[1].As<Napi::String>().Utf8Value() == "thread") std::thread([fault_ns] { Fault(fault_ns); }).join();
  Fault(fault_ns);
}

class Arrival : public Napi::AsyncWorker {
 public:
  Arrival(Napi::Env env, int fd, bool is_end) : AsyncWorker(env), deferred_(env), fd_(fd), is_end_(is_end) {}
  Napi::Promise Promise() const { return deferred_.Promise(); }

  void Execute() override {
    char bytes[1 << 16];
    for (;;) {
      const ssize_t count = read(fd_, bytes, sizeof(bytes));
      const auto now_ns = static_cast<int64_t>(vmm::MonotonicNs());
      if (count > 0 && (is_end_ || bytes[count - 1] != '\n')) continue;
      if (count > 0 || is_end_) arrival_ns_ = now_ns;
      break;
    }
    close(fd_);
  }

  void OnOK() override { deferred_.Resolve(Napi::BigInt::New(Env(), arrival_ns_)); }

 private:
  Napi::Promise::Deferred deferred_;
  int fd_;
  bool is_end_;
  int64_t arrival_ns_ = 0;
};

// arrivalTime(fifo, what): the time in nanoseconds at which the end of a line arrived ('line'), or at which the last
// writer was gone ('end'); 0n if all writers left without a line. The fifo must have a writer when this is called.
Napi::Value ArrivalTime(const Napi::CallbackInfo& info) {
  const int fd = open(info[0].As<Napi::String>().Utf8Value().c_str(), O_RDONLY | O_CLOEXEC);
  auto* const arrival = new Arrival(info.Env(), fd, info[1].As<Napi::String>().Utf8Value() == "end");
  arrival->Queue();
  return arrival->Promise();
}

}  // namespace

void DefineStopwatch(Napi::Env env, Napi::Object exports) {
  exports["dieTimed"] = Napi::Function::New(env, DieTimed);
  exports["arrivalTime"] = Napi::Function::New(env, ArrivalTime);
}

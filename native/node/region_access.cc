#include "node/region_access.h"

#include <unistd.h>

#include <vector>

#include "base/clock.h"
#include "base/file_lock.h"
#include "flush/sink.h"
#include "node/napi_util.h"

namespace vmm {

// JavaScript cannot see addresses, so the memory is aligned here.
Napi::Value Pages(const Napi::CallbackInfo& info) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t bytes = Uint32Of(info[0]);
  Napi::ArrayBuffer memory = Napi::ArrayBuffer::New(info.Env(), bytes + page - 1);
  const size_t past = reinterpret_cast<uintptr_t>(memory.Data()) % page;
  return Napi::Uint8Array::New(info.Env(), bytes, memory, past == 0 ? 0 : page - past, napi_uint8_array);
}

Napi::Value IsLocked(const Napi::CallbackInfo& info) {
  bool is_locked = false;
  const Status status = IsFileLocked(info[0].As<Napi::Number>().Int32Value(), &is_locked);
  return status.ok() ? Napi::Boolean::New(info.Env(), is_locked) : ToFailure(info.Env(), status);
}

Napi::Value Lock(const Napi::CallbackInfo& info) {
  bool is_ours = false;
  const Status status = LockFile(info[0].As<Napi::Number>().Int32Value(), &is_ours);
  return status.ok() ? Napi::Boolean::New(info.Env(), is_ours) : ToFailure(info.Env(), status);
}

Napi::Value Send(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<char> line = VectorOf<char>(info[1]);
  const int64_t deadline_ms = MonotonicMs() + info[2].As<Napi::Number>().Int64Value();
  Sink sink;
  size_t sent = 0;
  Status status = sink.OpenDescriptor(info[0].As<Napi::Number>().Int32Value());
  std::vector<char> text;
  if (status.ok()) {
    if (sink.needs_newline()) text.push_back('\n');
    text.insert(text.end(), line.begin(), line.end());
    sent = sink.WriteBy(text.data(), text.size(), deadline_ms, &status);
    sink.Close();
  }
  Napi::Object out = Napi::Object::New(env);
  // A newline that went first is not part of the line.
  const size_t before = text.size() > line.size() ? 1 : 0;
  out.Set("sent", Napi::Number::New(env, static_cast<double>(sent < before ? 0 : sent - before)));
  if (!status.ok()) out.Set("failure", ToFailure(env, status));
  return out;
}

}  // namespace vmm

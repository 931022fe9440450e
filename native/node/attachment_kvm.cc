// What a JavaScript thread asks of KVM's statistics.

#include <vector>

#include "node/attachment.h"
#include "node/napi_util.h"

namespace vmm {

Napi::Value Attachment::SampleKvm(const Napi::CallbackInfo& info) {
  const Napi::Array vcpus = info[0].As<Napi::Array>(), descriptors = info[1].As<Napi::Array>();
  std::vector<Store::KvmTarget> targets;
  for (uint32_t i = 0; i < vcpus.Length(); i++) {
    const Napi::Value vcpu = vcpus.Get(i);
    const int fd = descriptors.Get(i).As<Napi::Number>().Int32Value();
    targets.push_back({vcpu.IsString(), vcpu.IsString() ? vcpu.As<Napi::String>().Utf8Value() : std::string(), fd});
  }
  size_t failed = 0;
  const Status status = Attached(info)->SampleKvm(targets, &failed);
  if (status.ok()) return info.Env().Undefined();
  Napi::Object failure = ToFailure(info.Env(), status).As<Napi::Object>();
  failure.Set("index", static_cast<uint32_t>(failed));
  return failure;
}

Napi::Value Attachment::KvmLosses(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<Store::KvmLoss> losses = Attached(info)->TakeKvmLosses();
  Napi::Array out = Napi::Array::New(env, losses.size());
  for (uint32_t i = 0; i < losses.size(); i++) {
    Napi::Object one = Napi::Object::New(env);
    one.Set("vcpu", losses[i].is_vcpu ? Napi::Value(Napi::String::New(env, losses[i].vcpu)) : env.Null());
    one.Set("failure", ToFailure(env, {Code::kOpen, losses[i].error, "pread"}));
    out[i] = one;
  }
  return out;
}

}  // namespace vmm

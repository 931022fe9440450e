#include "node/kvm_fields.h"

#include "kvm/statistics.h"
#include "node/napi_util.h"

namespace vmm {

namespace {

Napi::Array ListOf(Napi::Env env, const KvmStatistics& statistics) {
  Napi::Array out = Napi::Array::New(env, statistics.all.size());
  for (uint32_t i = 0; i < statistics.all.size(); i++) {
    const KvmMetricShape shape = ShapeOf(statistics.all[i]);
    Napi::Object one = Napi::Object::New(env);
    one.Set("name", statistics.all[i].name);
    if (shape.kind != KvmMetricShape::kNone) one.Set("kind", shape.kind == KvmMetricShape::kCounter ? "inc" : "store");
    one.Set("isPeak", statistics.all[i].type == KvmType::kPeak);
    one.Set("unit", shape.unit);
    one.Set("leftOut", shape.left_out);
    out[i] = one;
  }
  return out;
}

Napi::Value FailureOf(Napi::Env env, const Status& status, bool is_vcpu) {
  Napi::Object failure = ToFailure(env, status).As<Napi::Object>();
  failure.Set("isVcpu", is_vcpu);
  return failure;
}

}  // namespace

Napi::Value KvmStatisticsOf(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int given[2] = {info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::Number>().Int32Value()};
  OpenedKvmStatistics opened[2];
  if (given[0] < 0 || given[1] < 0) {
    if (Status status = OpenOwnKvmStatistics(&opened[0], &opened[1]); !status.ok()) return FailureOf(env, status, false);
  }
  Napi::Object out = Napi::Object::New(env);
  for (const bool is_vcpu : {false, true}) {
    OpenedKvmStatistics& one = opened[is_vcpu];
    KvmStatistics statistics;
    if (given[is_vcpu] >= 0) {
      if (Status status = OpenKvmStatistics(given[is_vcpu], &one); !status.ok()) return FailureOf(env, status, is_vcpu);
    }
    if (Status status = KvmStatistics::Read(one.statistics.get(), &statistics); !status.ok())
      return FailureOf(env, status, is_vcpu);
    out.Set(is_vcpu ? "vcpu" : "vm", ListOf(env, statistics));
  }
  return out;
}

}  // namespace vmm

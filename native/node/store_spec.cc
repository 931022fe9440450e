#include "node/store_spec.h"

#include <string>
#include <vector>

#include "node/napi_util.h"

namespace vmm {

namespace {

std::vector<NamedMetric> MetricsOf(const Napi::Value& value) {
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<NamedMetric> out;
  for (uint32_t i = 0; i < array.Length(); i++) {
    const Napi::Object metric = array.Get(i).As<Napi::Object>();
    out.push_back({metric.Get("name").As<Napi::String>().Utf8Value(), Uint32Of(metric.Get("kind")), Uint32Of(metric.Get("cell")),
                   metric.Get("table").IsNumber() ? Uint32Of(metric.Get("table")) : kNoTable});
  }
  return out;
}

std::vector<KvmMetric> KvmMetricsOf(const Napi::Value& value) {
  std::vector<KvmMetric> out;
  for (const NamedMetric& metric : MetricsOf(value)) out.push_back({metric.name, metric.cell});
  return out;
}

BucketTable TableOf(const Napi::Object& object) {
  BucketTable table;
  for (const double entry : VectorOf<double>(object.Get("table"))) table.entries.push_back(static_cast<uint64_t>(entry));
  table.buckets = {nullptr,
                   static_cast<uint64_t>(object.Get("limit").As<Napi::Number>().Int64Value()),
                   Uint32Of(object.Get("perUnit")),
                   Uint32Of(object.Get("buckets")),
                   Uint32Of(object.Get("mantissaBits")),
                   object.Get("firstIndex").As<Napi::Number>().Int32Value()};
  return table;
}

}  // namespace

StoreSpec SpecOf(const Napi::Object& object) {
  StoreSpec spec;
  spec.name = object.Get("name").As<Napi::String>().Utf8Value();
  spec.schema_text = object.Get("schemaText").As<Napi::String>().Utf8Value();
  spec.schema_fingerprint = Uint64Of(object.Get("fingerprint"));
  spec.kinds = VectorOf<CellKind>(object.Get("kinds"));
  spec.code = VectorOf<Instruction>(object.Get("code"));
  spec.main_end = Uint32Of(object.Get("mainEnd"));
  spec.groups = VectorOf<DeviceGroup>(object.Get("groups"));
  const std::vector<char> literals = VectorOf<char>(object.Get("literals"));
  spec.literals.assign(literals.begin(), literals.end());
  spec.keys = StringsOf(object.Get("keys"));
  const Napi::Array tables = object.Get("tables").As<Napi::Array>();
  for (uint32_t i = 0; i < tables.Length(); i++) spec.tables.push_back(TableOf(tables.Get(i).As<Napi::Object>()));
  for (BucketTable& table : spec.tables) table.buckets.table = table.entries.data();
  const std::vector<int32_t> histograms = VectorOf<int32_t>(object.Get("histograms"));
  for (size_t i = 0; i + 3 <= histograms.size(); i += 3) {
    spec.histograms.push_back({histograms[i] < 0 ? kNoGroup : static_cast<uint32_t>(histograms[i]),
                               static_cast<uint32_t>(histograms[i + 1]),
                               &spec.tables[static_cast<size_t>(histograms[i + 2])].buckets});
  }
  spec.metrics = MetricsOf(object.Get("metrics"));
  const Napi::Array groups = object.Get("deviceGroups").As<Napi::Array>();
  for (uint32_t g = 0; g < groups.Length(); g++) {
    const Napi::Object group = groups.Get(g).As<Napi::Object>();
    spec.group_names.push_back(group.Get("name").As<Napi::String>().Utf8Value());
    spec.group_kinds.push_back(VectorOf<CellKind>(group.Get("kinds")));
    spec.group_metrics.push_back(MetricsOf(group.Get("metrics")));
  }
  const Napi::Array marks = object.Get("marks").As<Napi::Array>();
  for (uint32_t i = 0; i < marks.Length(); i++) {
    const Napi::Object mark = marks.Get(i).As<Napi::Object>();
    spec.marks.push_back(
        {Uint32Of(mark.Get("signal")), Uint32Of(mark.Get("cell")), mark.Get("isStore").As<Napi::Boolean>().Value()});
  }
  if (object.Get("file").IsString()) spec.file = object.Get("file").As<Napi::String>().Utf8Value();
  if (object.Get("previous").IsNumber()) spec.previous = static_cast<Previous>(Uint32Of(object.Get("previous")));
  spec.document = object.Get("document").As<Napi::String>().Utf8Value();
  if (object.Get("missedCell").IsNumber()) spec.missed_cell = Uint32Of(object.Get("missedCell"));
  if (object.Get("errorCell").IsNumber()) spec.error_cell = Uint32Of(object.Get("errorCell"));
  if (object.Get("kvm").IsObject()) {
    const Napi::Object kvm = object.Get("kvm").As<Napi::Object>();
    spec.kvm_vm = KvmMetricsOf(kvm.Get("vm"));
    spec.kvm_vcpu = KvmMetricsOf(kvm.Get("vcpu"));
    if (kvm.Get("vcpuGroup").IsNumber()) spec.kvm_vcpu_group = Uint32Of(kvm.Get("vcpuGroup"));
  }
  return spec;
}

void AddRecoveries(const Napi::Value& value, Recoveries* recoveries) {
  if (!value.IsArray()) return;
  const Napi::Array list = value.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Napi::Object one = list.Get(i).As<Napi::Object>();
    const std::vector<char> text = VectorOf<char>(one.Get("text")), record = VectorOf<char>(one.Get("record"));
    const std::string remove_path = one.Get("removePath").As<Napi::String>().Utf8Value();
    recoveries->Add({one.Get("file").As<Napi::Number>().Int32Value(), Uint64Of(one.Get("commit")), text.data(), text.size(),
                     record.data(), one.Get("hasLine").As<Napi::Boolean>().Value(), remove_path.c_str()});
  }
}

}  // namespace vmm

#include "node/exposition.h"

#include <memory>
#include <utility>

#include "base/raw_writer.h"
#include "exposition/text.h"
#include "node/napi_util.h"

namespace vmm {

namespace {

using Families = std::shared_ptr<const MetricFamilies>;
using Source = std::shared_ptr<ExpositionSource>;

template <typename T>
Napi::Value HandleOf(Napi::Env env, T value) {
  return Napi::External<T>::New(env, new T(std::move(value)), [](Napi::Env, T* one) { delete one; });
}

template <typename T>
const T& In(const Napi::Value& handle) {
  return *handle.As<Napi::External<T>>().Data();
}

OwnerCells OwnerOf(const Napi::Object& object) {
  OwnerCells owner;
  owner.cells = Uint32Of(object.Get("cells"));
  owner.CombineBy(VectorOf<Combine>(object.Get("combine")));
  owner.minima = VectorOf<uint32_t>(object.Get("minima"));
  owner.buckets = VectorOf<OwnerCells::Buckets>(object.Get("buckets"));
  return owner;
}

}  // namespace

Napi::Value MakeExpositionFamilies(const Napi::CallbackInfo& info) {
  const Napi::Object spec = info[0].As<Napi::Object>();
  auto families = std::make_shared<MetricFamilies>();
  families->text = VectorOf<char>(spec.Get("text"));
  families->text_bytes = families->text.size();
  families->text.resize(families->text_bytes + RawWriter::kPadding);
  families->parts = VectorOf<FamilyPart>(spec.Get("parts"));
  families->families = VectorOf<MetricFamily>(spec.Get("families"));
  const Napi::Array owners = spec.Get("owners").As<Napi::Array>();
  for (uint32_t i = 0; i < owners.Length(); i++) families->owners.push_back(OwnerOf(owners.Get(i).As<Napi::Object>()));
  if (!families->IsValid()) return info.Env().Undefined();
  return HandleOf<Families>(info.Env(), std::move(families));
}

Napi::Value MakeExpositionSource(const Napi::CallbackInfo& info) {
  const Napi::Object object = info[1].As<Napi::Object>();
  SourceSpec spec;
  spec.families = In<Families>(info[0]);
  spec.labels = VectorOf<char>(object.Get("labels"));
  spec.plain_label_bytes = Uint32Of(object.Get("plainLabelBytes"));
  spec.devices = VectorOf<SourceDevice>(object.Get("devices"));
  spec.cells = Uint32Of(object.Get("cells"));
  auto source = std::make_shared<ExpositionSource>(std::move(spec));
  if (!source->IsValid()) return info.Env().Undefined();
  return HandleOf<Source>(info.Env(), std::move(source));
}

Napi::Value FillExposition(const Napi::CallbackInfo& info) {
  ExpositionSource& source = *In<Source>(info[0]);
  Napi::BigUint64Array totals = info[1].As<Napi::BigUint64Array>();
  const bool fits = totals.ElementLength() == source.cells();
  if (fits) source.Fill(totals.Data());
  return Napi::Boolean::New(info.Env(), fits);
}

Napi::Value MakeExpositionText(const Napi::CallbackInfo& info) {
  const Napi::Object object = info[0].As<Napi::Object>();
  ExpositionTextSpec spec;
  const Napi::Array sources = object.Get("sources").As<Napi::Array>();
  spec.sources.reserve(sources.Length());
  for (uint32_t i = 0; i < sources.Length(); i++) {
    const Napi::HandleScope scope(info.Env());
    spec.sources.push_back(In<Source>(sources.Get(i)));
  }
  spec.rows = VectorOf<uint32_t>(object.Get("rows"));
  spec.places = VectorOf<int32_t>(object.Get("places"));
  spec.headers = VectorOf<char>(object.Get("headers"));
  spec.header_ends = VectorOf<uint32_t>(object.Get("headerEnds"));
  auto text = std::make_unique<ExpositionText>(std::move(spec));
  if (!text->IsValid()) return info.Env().Undefined();
  return HandleOf(info.Env(), std::move(text));
}

Napi::Value WriteExposition(const Napi::CallbackInfo& info) {
  ExpositionText& text = *In<std::unique_ptr<ExpositionText>>(info[0]);
  Napi::Uint8Array out = info[1].As<Napi::Uint8Array>();
  Napi::Uint32Array result = info[2].As<Napi::Uint32Array>();
  if (result.ElementLength() < 2) return info.Env().Undefined();
  // No length of a portion or of a line comes near 2^32.
  result[0] = static_cast<uint32_t>(text.Write(reinterpret_cast<char*>(out.Data()), out.ByteLength()));
  result[1] = static_cast<uint32_t>(text.needed());
  return info.Env().Undefined();
}

}  // namespace vmm

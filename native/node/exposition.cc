#include "node/exposition.h"

#include <memory>
#include <utility>

#include "base/raw_writer.h"
#include "exposition/text.h"
#include "node/napi_util.h"

namespace vmm {

namespace {

using Families = std::shared_ptr<const MetricFamilies>;
using Source = std::shared_ptr<const ExpositionSource>;
using Text = std::shared_ptr<const ExpositionText>;

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
  auto source = std::make_shared<const ExpositionSource>(std::move(spec));
  if (!source->IsValid()) return info.Env().Undefined();
  return HandleOf<Source>(info.Env(), std::move(source));
}

Napi::Value MakeExpositionText(const Napi::CallbackInfo& info) {
  const Napi::Object object = info[0].As<Napi::Object>();
  ExpositionTextSpec spec;
  const Napi::Array sources = object.Get("sources").As<Napi::Array>();
  const Napi::Array readings = object.Get("totals").As<Napi::Array>();
  const uint32_t count = sources.Length();
  if (readings.Length() != count) return info.Env().Undefined();
  spec.sources.reserve(count);
  // No JavaScript runs before the text has copied the values.
  std::vector<const uint64_t*> totals;
  totals.reserve(count);
  for (uint32_t i = 0; i < count; i++) {
    const Napi::HandleScope scope(info.Env());
    const Source& source = In<Source>(sources.Get(i));
    Napi::BigUint64Array reading = readings.Get(i).As<Napi::BigUint64Array>();
    if (reading.ElementLength() != source->cells()) return info.Env().Undefined();
    spec.sources.push_back(source);
    totals.push_back(reading.Data());
  }
  spec.rows = VectorOf<uint32_t>(object.Get("rows"));
  spec.places = VectorOf<int32_t>(object.Get("places"));
  spec.headers = VectorOf<char>(object.Get("headers"));
  spec.header_ends = VectorOf<uint32_t>(object.Get("headerEnds"));
  auto text = std::make_shared<const ExpositionText>(std::move(spec), totals);
  if (!text->IsValid()) return info.Env().Undefined();
  return HandleOf<Text>(info.Env(), std::move(text));
}

Napi::Value ExpositionTextBytes(const Napi::CallbackInfo& info) {
  const Text& text = In<Text>(info[0]);
  return Napi::Number::New(info.Env(), text == nullptr ? 0.0 : static_cast<double>(text->bytes()));
}

Napi::Value ReadExposition(const Napi::CallbackInfo& info) {
  const Text& text = In<Text>(info[0]);
  if (text == nullptr) return info.Env().Undefined();
  return HandleOf(info.Env(), std::make_unique<ExpositionReading>(std::weak_ptr<const ExpositionText>(text)));
}

Napi::Value ReleaseExposition(const Napi::CallbackInfo& info) {
  info[0].As<Napi::External<Text>>().Data()->reset();
  return info.Env().Undefined();
}

Napi::Value WriteExposition(const Napi::CallbackInfo& info) {
  ExpositionReading& reading = *In<std::unique_ptr<ExpositionReading>>(info[0]);
  Napi::Uint8Array out = info[1].As<Napi::Uint8Array>();
  Napi::Uint32Array result = info[2].As<Napi::Uint32Array>();
  if (result.ElementLength() < 2) return info.Env().Undefined();
  // No length of a portion or of a line comes near 2^32.
  result[0] = static_cast<uint32_t>(reading.Write(reinterpret_cast<char*>(out.Data()), out.ByteLength()));
  result[1] = static_cast<uint32_t>(reading.needed());
  return info.Env().Undefined();
}

}  // namespace vmm

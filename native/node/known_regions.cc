#include "node/known_regions.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "node/attachment.h"
#include "node/napi_util.h"
#include "region/known_region.h"

namespace vmm {

namespace {

// The reference keeps the results alive. Each call asks where their memory is: JavaScript may have taken it.
struct KnownRegionOf {
  KnownRegion region;
  Napi::Reference<Napi::ArrayBuffer> results;

  KnownRegion::Result Read(uid_t user, RowMemory& memory) {
    Napi::ArrayBuffer buffer = results.Value();
    auto* const bytes = static_cast<uint8_t*>(buffer.Data());
    if (buffer.ByteLength() < BytesFor(region.values())) return KnownRegion::kChanged;
    auto* const flushed = reinterpret_cast<uint64_t*>(bytes + sizeof(RegionHeader));
    return region.Read(user, memory, bytes, flushed, flushed + region.values());
  }

  // The header, and then each value twice: as last flushed, and now.
  static uint64_t BytesFor(uint32_t values) { return sizeof(RegionHeader) + 2 * sizeof(uint64_t) * uint64_t{values}; }
};
static_assert(sizeof(RegionHeader) % alignof(uint64_t) == 0);

}  // namespace

Napi::Value MakeKnownRegion(const Napi::CallbackInfo& info) {
  const Napi::Object object = info[0].As<Napi::Object>();
  KnownRegionSpec spec;
  spec.descriptor = object.Get("descriptor").As<Napi::Number>().Int32Value();
  spec.path = object.Get("path").As<Napi::String>().Utf8Value();
  spec.is_descriptor_link = object.Get("isDescriptorLink").As<Napi::Boolean>().Value();
  spec.is_held = object.Get("isHeld").As<Napi::Boolean>().Value();
  spec.header = VectorOf<uint8_t>(object.Get("header"));
  spec.directory = VectorOf<uint8_t>(object.Get("directory"));
  spec.kinds = VectorOf<uint8_t>(object.Get("kinds"));
  spec.slots = VectorOf<uint32_t>(object.Get("slots"));
  spec.rows.granule_bytes = Uint32Of(object.Get("granuleBytes"));
  spec.rows.chunks_offset = static_cast<uint64_t>(object.Get("chunksOffset").As<Napi::Number>().Int64Value());
  spec.shards_used = Uint32Of(object.Get("shardsUsed"));
  Napi::ArrayBuffer results = object.Get("results").As<Napi::ArrayBuffer>();
  if (results.ByteLength() < sizeof(RegionHeader)) return info.Env().Undefined();
  spec.values = static_cast<uint32_t>((results.ByteLength() - sizeof(RegionHeader)) / (2 * sizeof(uint64_t)));
  std::unique_ptr<KnownRegionOf> known(new KnownRegionOf{KnownRegion(std::move(spec)), Napi::Persistent(results)});
  if (!known->region.IsValid()) return info.Env().Undefined();
  return Napi::External<KnownRegionOf>::New(info.Env(), known.release(), [](Napi::Env, KnownRegionOf* one) { delete one; });
}

Napi::Value ReadKnownRegions(const Napi::CallbackInfo& info) {
  const Napi::Array handles = info[0].As<Napi::Array>();
  Napi::Uint8Array results = info[1].As<Napi::Uint8Array>();
  const size_t count = std::min<size_t>(handles.Length(), results.ElementLength());
  RowMemory& memory = info.Env().GetInstanceData<EnvironmentData>()->rows;
  const uid_t user = geteuid();
  for (uint32_t i = 0; i < count; i++) {
    const Napi::HandleScope scope(info.Env());
    results[i] = handles.Get(i).As<Napi::External<KnownRegionOf>>().Data()->Read(user, memory);
  }
  return info.Env().Undefined();
}

}  // namespace vmm

#include "node/file_sampling.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "node/method.h"
#include "node/napi_util.h"
#include "profile/file_sampler.h"

namespace vmm {

namespace {

uint64_t NsOf(const Napi::Value& value) { return static_cast<uint64_t>(value.As<Napi::Number>().Int64Value()); }

SampledFile FileOf(const Napi::Object& object) {
  SampledFile file;
  bool is_lossless = true;
  file.descriptor = object.Get("descriptor").As<Napi::Number>().Int32Value();
  file.rows.granule_bytes = Uint32Of(object.Get("granuleBytes"));
  file.rows.chunks_offset = NsOf(object.Get("chunksOffset"));
  file.retired_epoch = object.Get("retiredEpoch").As<Napi::BigInt>().Uint64Value(&is_lossless);
  file.chunks = VectorOf<uint32_t>(object.Get("chunks"));
  const auto columns = object.Get("columns").As<Napi::Array>();
  for (uint32_t i = 0; i < columns.Length(); i++) {
    const auto column = columns.Get(i).As<Napi::Object>();
    const Napi::Value gone = column.Get("gone");
    file.columns.push_back({static_cast<CellKind>(Uint32Of(column.Get("kind"))), Uint32Of(column.Get("chunk")),
                            Uint32Of(column.Get("at")), gone.IsBigInt(),
                            gone.IsBigInt() ? gone.As<Napi::BigInt>().Uint64Value(&is_lossless) : 0});
  }
  return file;
}

class FileSampling : public Napi::ObjectWrap<FileSampling> {
 public:
  // new FileSampler(beginNs, intervalNs, lastTick)
  explicit FileSampling(const Napi::CallbackInfo& info)
      : ObjectWrap(info), sampler_(NsOf(info[0]), NsOf(info[1]), NsOf(info[2])) {}

  static Napi::Function Define(Napi::Env env) {
    static constexpr Method<FileSampling> kMethods[] = {
        {"setFiles", &FileSampling::SetFiles}, {"run", &FileSampling::Run},         {"note", &FileSampling::Note},
        {"last", &FileSampling::Last},         {"figures", &FileSampling::Figures},
    };
    return DefineClass(env, "FileSampler", Method<FileSampling>::Describe(kMethods));
  }

 private:
  void SetFiles(const Napi::CallbackInfo& info) {
    const auto array = info[0].As<Napi::Array>();
    std::vector<SampledFile> files;
    for (uint32_t i = 0; i < array.Length(); i++) files.push_back(FileOf(array.Get(i).As<Napi::Object>()));
    if (!sampler_.SetFiles(std::move(files))) throw Napi::Error::New(info.Env(), "a sampled cell is outside of its file");
  }

  Napi::Value Run(const Napi::CallbackInfo& info) {
    Napi::Uint8Array text = info[1].As<Napi::Uint8Array>();
    size_t written = 0;
    const FileSampler::Stop stop = sampler_.Run(NsOf(info[0]), reinterpret_cast<char*>(text.Data()), text.ByteLength(), &written);
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("stop", static_cast<uint32_t>(stop));
    result.Set("bytes", static_cast<double>(written));
    return result;
  }

  Napi::Value Last(const Napi::CallbackInfo& info) {
    const std::vector<uint64_t>& last = sampler_.last();
    Napi::BigUint64Array values = info[0].As<Napi::BigUint64Array>();
    if (last.empty() || values.ElementLength() < last.size()) return Napi::Boolean::New(info.Env(), false);
    std::copy(last.begin(), last.end(), values.Data());
    return Napi::Boolean::New(info.Env(), true);
  }

  void Note(const Napi::CallbackInfo& info) { sampler_.Note(NsOf(info[0])); }

  Napi::Value Figures(const Napi::CallbackInfo& info) {
    Napi::Object figures = Napi::Object::New(info.Env());
    figures.Set("samples", static_cast<double>(sampler_.samples()));
    figures.Set("missedTicks", static_cast<double>(sampler_.missed_ticks()));
    figures.Set("lateNsMedian", static_cast<double>(sampler_.lateness().Quantile(1, 2)));
    figures.Set("lateNsP99", static_cast<double>(sampler_.lateness().Quantile(99, 100)));
    figures.Set("lateNsMax", static_cast<double>(sampler_.lateness().max()));
    return figures;
  }

  FileSampler sampler_;
};

}  // namespace

Napi::Function DefineFileSampling(Napi::Env env) { return FileSampling::Define(env); }

}  // namespace vmm

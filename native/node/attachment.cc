#include "node/attachment.h"

#include <string>
#include <utility>

#include "node/method.h"
#include "node/napi_util.h"
#include "node/profile_stop.h"
#include "node/store_spec.h"

namespace vmm {

namespace {

// A store attachment that no Attachment has taken over yet. If a worker is terminated before that, the destructor
// detaches.
struct Opened {
  Store* store = nullptr;
  ~Opened() {
    if (store != nullptr) store->Detach(false);
  }
};

}  // namespace

thread_local std::set<const Attachment*> Attachment::here_;

Napi::Function Attachment::Define(Napi::Env env) {
  static constexpr Method<Attachment> kMethods[] = {
      {"shard", &Attachment::Shard, Method<Attachment>::kGetter},
      {"chunkCells", &Attachment::ChunkCells, Method<Attachment>::kGetter},
      {"row", &Attachment::Row},
      {"header", &Attachment::Header},
      {"add", &Attachment::Add},
      {"set", &Attachment::SetTo},
      {"raise", &Attachment::Raise},
      {"total", &Attachment::Total},
      {"totals", &Attachment::Totals},
      {"pending", &Attachment::Pending},
      {"snapshot", &Attachment::TakeSnapshot},
      {"totalsInto", &Attachment::TakeTotals},
      {"allocDevice", &Attachment::AllocDevice},
      {"removeDevice", &Attachment::RemoveDevice},
      {"devices", &Attachment::LivingDevices},
      {"watch", &Attachment::Watch},
      {"leaving", &Attachment::Leaving},
      {"letGo", &Attachment::LetGo},
      {"restCell", &Attachment::RestCell},
      {"init", &Attachment::Init},
      {"inherits", &Attachment::Inherits},
      {"hasSink", &Attachment::HasSink},
      {"flush", &Attachment::Flush},
      {"startPeriodicFlush", &Attachment::StartPeriodicFlush},
      {"stopPeriodicFlush", &Attachment::StopPeriodicFlush},
      {"listen", &Attachment::Listen},
      {"troubles", &Attachment::TakeTroubles},
      {"captureSignals", &Attachment::CaptureSignals},
      {"displaced", &Attachment::CheckDisplaced},
      {"retakeSignal", &Attachment::RetakeSignal},
      {"sampleKvm", &Attachment::SampleKvm},
      {"kvmLosses", &Attachment::KvmLosses},
      {"startProfiling", &Attachment::StartProfiling},
      {"native", &Attachment::Native},
      {"ends", &Attachment::Ends},
      {"detach", &Attachment::Detach},
  };
  return DefineClass(env, "Attachment", Method<Attachment>::Describe(kMethods));
}

Attachment::Attachment(const Napi::CallbackInfo& info)
    : ObjectWrap(info),
      store_(std::exchange(info[0].As<Napi::External<Opened>>().Data()->store, nullptr)),
      env_(info.Env()),
      rows_(std::make_shared<RowBuffers>()) {
  shard_ = store_->ClaimShard();
  napi_add_env_cleanup_hook(env_, LeaveEnvironment, this);
  here_.insert(this);
  DefineFastFlush(info.This().As<Napi::Object>());
}

void Attachment::DefineFastFlush(Napi::Object self) {
  try {
    Napi::Function flush = Napi::Function::New<&Attachment::FlushOf>(env_, "flush", this);
    flush.Set("attachment", self);  // whoever has the function keeps the attachment
    self.DefineProperty(Napi::PropertyDescriptor::Value("flush", flush));
  } catch (const Napi::Error&) {
    // A worker that is being terminated makes no functions. The method of the prototype does the same.
  }
}

Attachment::~Attachment() { Leave(); }

void Attachment::LeaveEnvironment(void* data) {
  // Ask all profiles of this thread to stop first, so that they stop at the same time.
  for (const Attachment* one : here_) {
    if (one->profile_ != nullptr) one->profile_->AskToStop();
  }
  Attachment* const self = static_cast<Attachment*>(data);
  self->call_ = nullptr;  // Node destroys both functions after this hook
  self->trouble_call_ = nullptr;
  self->Leave();
}

void Attachment::Leave() { Leave(ending_, is_process_ending_ || ending_.exit_code == kExitCodeUnknown); }

void Attachment::Leave(const Ending& ending, bool awaits_exit) {
  if (left_) return;
  left_ = true;
  here_.erase(this);
  napi_remove_env_cleanup_hook(env_, LeaveEnvironment, this);
  // After this, no thread calls `call_`.
  store_->RemoveHolder(&holder_);
  if (call_ != nullptr) napi_release_threadsafe_function(std::exchange(call_, nullptr), napi_tsfn_abort);
  store_->troubles().Unlisten(this);
  if (trouble_call_ != nullptr) napi_release_threadsafe_function(std::exchange(trouble_call_, nullptr), napi_tsfn_abort);
  // Only this environment can stop the profile.
  if (profile_ != nullptr) store_->profiler().Stop(profile_);
  // JavaScript may still add through an old accessor. From here on it writes to throwaway memory.
  for (void* row : *rows_) store_->cells().region().DisconnectRow(row);
  rows_->clear();
  store_->GiveBackShard(shard_);
  store_->Detach(ending, awaits_exit);
}

Store* Attachment::Attached(const Napi::CallbackInfo& info) const {
  if (!left_) return store_;
  Napi::Error closed = Napi::Error::New(info.Env(), "These metrics are closed");
  closed.Set("code", "ERR_METRICS_CLOSED");
  throw closed;
}

Napi::Value Attachment::Shard(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), shard_); }

Napi::Value Attachment::ChunkCells(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Attached(info)->cells().region().chunk_cells());
}

Napi::Value Attachment::Row(const Napi::CallbackInfo& info) {
  void* address = nullptr;
  const Status status = Attached(info)->MapRow(Uint32Of(info[0]), Uint32Of(info[1]), &address);
  return status.ok() ? BufferOver(info.Env(), address) : ToFailure(info.Env(), status);
}

Napi::Value Attachment::Header(const Napi::CallbackInfo& info) {
  void* address = nullptr;
  const Status status = Attached(info)->MapHeader(&address);
  return status.ok() ? BufferOver(info.Env(), address) : ToFailure(info.Env(), status);
}

Napi::Value Attachment::BufferOver(Napi::Env env, void* address) {
  const size_t bytes = store_->cells().region().granule_bytes();
  RowHint* hint = new RowHint{bytes, rows_, store_};
  rows_->insert(address);
  napi_value buffer = nullptr;
  const napi_status made = napi_create_external_arraybuffer(env, address, bytes, FreeRow, hint, &buffer);
  if (made == napi_ok) return Napi::Value(env, buffer);
  FreeRow(env, address, hint);
  if (env.IsExceptionPending()) env.GetAndClearPendingException();
  return env.Null();
}

void Attachment::Add(const Napi::CallbackInfo& info) {
  if (!left_) AddShared(store_->cells().Shared(Uint32Of(info[0])), Uint64Of(info[1]));
}

void Attachment::SetTo(const Napi::CallbackInfo& info) {
  if (!left_) Set(store_->cells().Shared(Uint32Of(info[0])), Uint64Of(info[1]));
}

void Attachment::Raise(const Napi::CallbackInfo& info) {
  if (!left_) RaiseShared(store_->cells().Shared(Uint32Of(info[0])), Uint64Of(info[1]));
}

Napi::Value Attachment::Total(const Napi::CallbackInfo& info) {
  return Napi::BigInt::New(info.Env(), Attached(info)->cells().Total(Uint32Of(info[0])));
}

Napi::Value Attachment::Totals(const Napi::CallbackInfo& info) {
  const Cells& cells = Attached(info)->cells();
  const uint32_t first = Uint32Of(info[0]), count = Uint32Of(info[1]);
  Napi::BigUint64Array totals = Napi::BigUint64Array::New(info.Env(), count);
  // From the last to the first: threads write the extremes, which come first, before the buckets.
  for (uint32_t i = count; i-- != 0;) totals[i] = cells.Total(first + i);
  return totals;
}

Napi::Value Attachment::Pending(const Napi::CallbackInfo& info) {
  return Napi::BigInt::New(info.Env(), Attached(info)->cells().Pending(Uint32Of(info[0])));
}

Napi::Value Attachment::Init(const Napi::CallbackInfo& info) {
  Status status;
  Recoveries recoveries;
  AddRecoveries(info[1], &recoveries);
  const bool is_path = info[0].IsString();
  const std::string path = is_path ? info[0].As<Napi::String>().Utf8Value() : std::string();
  const int descriptor = is_path ? -1 : info[0].As<Napi::Number>().Int32Value();
  Flusher& flusher = Attached(info)->flusher();
  switch (flusher.Init(is_path ? path.c_str() : nullptr, descriptor, &status, &recoveries)) {
    case InitResult::kDone:
      flusher.Recover();  // lines that do not get out now go before the next line
      return Napi::Boolean::New(info.Env(), true);
    case InitResult::kAlready: return Napi::Boolean::New(info.Env(), false);
    case InitResult::kFailed: break;
  }
  return ToFailure(info.Env(), status);
}

Napi::Value Attachment::Inherits(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), Attached(info)->Inherits());
}

Napi::Value Attachment::HasSink(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), Attached(info)->flusher().is_initialized());
}

Napi::Value Attachment::FlushOf(const Napi::CallbackInfo& info) { return static_cast<Attachment*>(info.Data())->Flush(info); }

Napi::Value Attachment::Flush(const Napi::CallbackInfo& info) {
  Status status;
  switch (Attached(info)->Flush(&status)) {
    case FlushResult::kOut: return Napi::Boolean::New(info.Env(), true);
    case FlushResult::kNotInitialized: return Napi::Boolean::New(info.Env(), false);
    case FlushResult::kFailed: break;
  }
  return ToFailure(info.Env(), status);
}

Napi::Value Attachment::StartPeriodicFlush(const Napi::CallbackInfo& info) {
  return ToFailure(info.Env(),
                   Attached(info)->StartPeriodicFlush(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value())));
}

void Attachment::StopPeriodicFlush(const Napi::CallbackInfo& info) { Attached(info)->StopPeriodicFlush(); }

Napi::Value Attachment::CaptureSignals(const Napi::CallbackInfo& info) {
  CaptureOptions options;
  for (const uint32_t signal : VectorOf<uint32_t>(info[0])) options.signals |= SetOf(static_cast<int>(signal));
  options.leave_ignored = info[1].As<Napi::Boolean>().Value();
  options.limit_ms = info[2].As<Napi::Number>().Int32Value();
  return ToFailure(info.Env(), Attached(info)->CaptureSignals(options));
}

Napi::Value Attachment::CheckDisplaced(const Napi::CallbackInfo& info) {
  return ToNumbers(info.Env(), Attached(info)->CheckDisplaced());
}

void Attachment::RetakeSignal(const Napi::CallbackInfo& info) {
  Attached(info)->RetakeSignals(SetOf(static_cast<int>(Uint32Of(info[0]))));
}

Napi::Value Attachment::StartProfiling(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Store* const store = Attached(info);
  ProfileSpec spec;
  spec.cells = VectorOf<uint32_t>(info[0]);
  spec.interval_ns = static_cast<uint64_t>(info[1].As<Napi::Number>().Int64Value());
  spec.header = info[2].As<Napi::String>().Utf8Value();
  spec.annotate = info[3].IsString();
  if (spec.annotate) spec.annotation = info[3].As<Napi::String>().Utf8Value();
  if (info[4].IsString()) {
    spec.path = info[4].As<Napi::String>().Utf8Value();
  } else {
    spec.descriptor = info[4].As<Napi::Number>().Int32Value();
  }
  spec.lines = store->flusher().sink_position();
  std::shared_ptr<Profile> profile;
  if (Status status = store->profiler().Start(std::move(spec), &profile); !status.ok()) return ToFailure(env, status);
  profile_ = profile;
  store->Retain();
  return Napi::External<StartedProfile>::New(env, new StartedProfile{store, std::move(profile)},
                                             [](Napi::Env, StartedProfile* started) { delete started; });
}

Napi::Value Attachment::Native(const Napi::CallbackInfo& info) {
  const napi_env env = info.Env();
  Store* const store = Attached(info);
  napi_value external = nullptr;
  store->Retain();
  const napi_status made = napi_create_external(
      env, const_cast<vmm_metrics_abi*>(&store->abi()),
      [](napi_env, void*, void* store) { static_cast<Store*>(store)->Unreference(); }, store, &external);
  if (made != napi_ok) {
    store->Unreference();
    return info.Env().Undefined();
  }
  napi_type_tag_object(env, external, &vmm_metrics_type_tag);
  return Napi::Value(env, external);
}

void Attachment::Ends(const Napi::CallbackInfo& info) {
  if (left_) return;
  if (info[0].As<Napi::Boolean>().Value()) ending_.state = RegionState::kPanicked;
  ending_.exit_code = info[1].As<Napi::Number>().Int32Value();
  is_process_ending_ = info[2].As<Napi::Boolean>().Value();
  if (is_process_ending_) store_->NoteEnding(ending_);
}

void Attachment::Detach(const Napi::CallbackInfo&) { Leave({RegionState::kClosed, 0}, false); }

Napi::Value Open(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  StoreSpec spec = SpecOf(info[0].As<Napi::Object>());
  Opened opened;
  OpenConflict conflict;
  const Status status = Store::Open(std::move(spec), &opened.store, &conflict);
  if (!status.ok()) {
    Napi::Value failure = ToFailure(env, status);
    failure.As<Napi::Object>().Set("holder", conflict.holder);
    return failure;
  }
  if (opened.store == nullptr) return Napi::String::New(env, conflict.other_schema);
  return env.GetInstanceData<EnvironmentData>()->attachment.New({Napi::External<Opened>::New(env, &opened)});
}

}  // namespace vmm

// The Node-API face of the library: one Attachment a JavaScript thread and store. It checks nothing that TypeScript has checked.
//
// Per environment: the thread's alternate stack, its attachments, their shards and mapped rows; all given back by cleanup hooks,
// so that a worker may be terminated at any moment. Per process: the stores and the signal handlers.

#include <errno.h>
#include <napi.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "../include/vmm_metrics.h"
#include "alternate_stack.h"
#include "clock.h"
#include "copies.h"
#include "file_lock.h"
#include "napi_util.h"
#include "signal_mask.h"
#include "sink.h"
#include "store.h"
#include "version.h"

namespace vmm {

namespace {

// The rows of cells that a thread has mapped for JavaScript. Each is unmapped when its ArrayBuffer is collected, which may be
// after the attachment is gone.
using Rows = std::set<void*>;

struct RowHint {
  size_t bytes;
  std::shared_ptr<Rows> rows;
  Store* store;  // while the row is in `rows`
};

// Does without the store, which may be gone by then: a row without it is memory of its own.
void FreeRow(napi_env, void* address, void* data) {
  RowHint* hint = static_cast<RowHint*>(data);
  if (hint->rows->erase(address) != 0) hint->store->cells().region().ForgetRow(address);
  Region::UnmapRow(address, hint->bytes);
  delete hint;
}

// An attachment that no object has taken over yet: a worker may be terminated in between.
struct Opened {
  Store* store = nullptr;
  ~Opened() {
    if (store != nullptr) store->Detach(false);
  }
};

// A profile that JavaScript may stop at any time, also after the store was closed.
struct StartedProfile {
  Store* store;  // referenced
  std::shared_ptr<Profile> profile;

  StartedProfile(Store* its_store, std::shared_ptr<Profile> its_profile) : store(its_store), profile(std::move(its_profile)) {}
  StartedProfile(const StartedProfile& other) : store(other.store), profile(other.profile) { store->Retain(); }
  StartedProfile& operator=(const StartedProfile&) = delete;
  ~StartedProfile() { store->Unreference(); }
};

// A stop that a promise waits for, on a thread of its own: it may take a second, and the threads of the pool may all be waiting
// for something that takes longer.
struct Stopping {
  const StartedProfile started;
  napi_deferred deferred = nullptr;
  napi_threadsafe_function done = nullptr;
  std::thread thread;
  ProfileResult result;

  explicit Stopping(const StartedProfile& its_started) : started(its_started) {}
  void Stop() { result = started.store->profiler().Stop(started.profile); }
};

Napi::Value ToFigures(Napi::Env env, const ProfileResult& result) {
  Napi::Object figures = Napi::Object::New(env);
  figures["samples"] = static_cast<double>(result.samples);
  figures["missedTicks"] = static_cast<double>(result.missed_ticks);
  figures["backOffs"] = static_cast<double>(result.back_offs);
  figures["lateNsMedian"] = static_cast<double>(result.late_ns_median);
  figures["lateNsP99"] = static_cast<double>(result.late_ns_p99);
  figures["lateNsMax"] = static_cast<double>(result.late_ns_max);
  if (!result.status.ok()) figures["failure"] = ToFailure(env, result.status);
  return figures;
}

// The environment ends, and `done` with it, which the thread must not use then. Soon: a stop is bounded.
void AwaitStopping(void* stopping) { static_cast<Stopping*>(stopping)->thread.join(); }

// On the JavaScript thread; without an environment when that has ended meanwhile.
void ResolveStopping(napi_env env, napi_value, void*, void* data) {
  const std::unique_ptr<Stopping> stopping(static_cast<Stopping*>(data));
  if (env == nullptr) return;
  stopping->thread.join();
  napi_remove_env_cleanup_hook(env, AwaitStopping, data);
  napi_release_threadsafe_function(stopping->done, napi_tsfn_release);
  try {
    napi_resolve_deferred(env, stopping->deferred, ToFigures(env, stopping->result));
  } catch (const Napi::Error&) {
    // The worker is being terminated: nobody waits for it any more.
  }
}

// False: there can be no thread.
bool StartStopping(Stopping* stopping) {
  const AsynchronousSignalsBlocked blocked;
  try {
    stopping->thread = std::thread([stopping] {
      stopping->Stop();
      napi_call_threadsafe_function(stopping->done, stopping, napi_tsfn_nonblocking);
    });
  } catch (const std::system_error&) {
    return false;
  }
  return true;
}

// stopProfiling(started): a promise of what it was. The sampling ends at once.
Napi::Value StopProfiling(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto stopping = std::make_unique<Stopping>(*info[0].As<Napi::External<StartedProfile>>().Data());
  stopping->started.profile->AskToStop();
  napi_value promise = nullptr;
  napi_create_promise(env, &stopping->deferred, &promise);
  const Napi::String name = Napi::String::New(env, "vmm-metrics.stopProfiling");
  const bool has_done = napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, nullptr,
                                                        ResolveStopping, &stopping->done) == napi_ok;
  if (has_done && StartStopping(stopping.get())) {
    // After the one of `done`, so that it comes before that.
    napi_add_env_cleanup_hook(env, AwaitStopping, stopping.release());
    return Napi::Value(env, promise);
  }
  // Here, then, where it is bounded too.
  if (has_done) napi_release_threadsafe_function(stopping->done, napi_tsfn_release);
  stopping->Stop();
  napi_resolve_deferred(env, stopping->deferred, ToFigures(env, stopping->result));
  return Napi::Value(env, promise);
}

// From a list of `{ file, commit, text, record, hasLine, removePath }`. One that cannot be added is said by the next life.
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

class Attachment : public Napi::ObjectWrap<Attachment> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Attachment",
                       {
                           InstanceAccessor<&Attachment::Shard>("shard"),
                           InstanceAccessor<&Attachment::ChunkCells>("chunkCells"),
                           InstanceMethod<&Attachment::Row>("row"),
                           InstanceMethod<&Attachment::Add>("add"),
                           InstanceMethod<&Attachment::SetTo>("set"),
                           InstanceMethod<&Attachment::Raise>("raise"),
                           InstanceMethod<&Attachment::Total>("total"),
                           InstanceMethod<&Attachment::Pending>("pending"),
                           InstanceMethod<&Attachment::TakeSnapshot>("snapshot"),
                           InstanceMethod<&Attachment::AllocDevice>("allocDevice"),
                           InstanceMethod<&Attachment::RemoveDevice>("removeDevice"),
                           InstanceMethod<&Attachment::LivingDevices>("devices"),
                           InstanceMethod<&Attachment::Watch>("watch"),
                           InstanceMethod<&Attachment::Leaving>("leaving"),
                           InstanceMethod<&Attachment::LetGo>("letGo"),
                           InstanceMethod<&Attachment::RestCell>("restCell"),
                           InstanceMethod<&Attachment::Init>("init"),
                           InstanceMethod<&Attachment::Inherits>("inherits"),
                           InstanceMethod<&Attachment::HasSink>("hasSink"),
                           InstanceMethod<&Attachment::Flush>("flush"),
                           InstanceMethod<&Attachment::StartPeriodicFlush>("startPeriodicFlush"),
                           InstanceMethod<&Attachment::CaptureSignals>("captureSignals"),
                           InstanceMethod<&Attachment::CheckDisplaced>("displaced"),
                           InstanceMethod<&Attachment::RetakeSignal>("retakeSignal"),
                           InstanceMethod<&Attachment::StartProfiling>("startProfiling"),
                           InstanceMethod<&Attachment::Native>("native"),
                           InstanceMethod<&Attachment::Ends>("ends"),
                           InstanceMethod<&Attachment::Detach>("detach"),
                       });
  }

  // Called by Open only, with the attachment to take over.
  explicit Attachment(const Napi::CallbackInfo& info)
      : ObjectWrap(info),
        store_(std::exchange(info[0].As<Napi::External<Opened>>().Data()->store, nullptr)),
        env_(info.Env()),
        rows_(std::make_shared<Rows>()) {
    shard_ = store_->ClaimShard();
    napi_add_env_cleanup_hook(env_, LeaveEnvironment, this);
    here_.insert(this);
  }

  ~Attachment() override { Leave(); }

 private:
  static void LeaveEnvironment(void* data) {
    // All profiles of this thread end with it, together.
    for (const Attachment* one : here_) {
      if (one->profile_ != nullptr) one->profile_->AskToStop();
    }
    Attachment* const self = static_cast<Attachment*>(data);
    self->call_ = nullptr;  // the environment takes it down by itself, after this
    self->Leave();
  }

  // Without close(), as this thread ends.
  void Leave() { Leave(ending_, is_process_ending_ || ending_.exit_code == kExitCodeUnknown); }
  void Leave(const Ending& ending, bool awaits_exit) {
    if (left_) return;
    left_ = true;
    here_.erase(this);
    napi_remove_env_cleanup_hook(env_, LeaveEnvironment, this);
    // Nobody calls this thread any more when this returns.
    store_->RemoveHolder(&holder_);
    if (call_ != nullptr) napi_release_threadsafe_function(std::exchange(call_, nullptr), napi_tsfn_abort);
    // Nobody else could: the one who has the profile to stop it is this environment.
    if (profile_ != nullptr) store_->profiler().Stop(profile_);
    // Then, so that what JavaScript still adds through an old accessor changes nothing that anybody reads.
    for (void* row : *rows_) store_->cells().region().DisconnectRow(row);
    rows_->clear();
    store_->GiveBackShard(shard_);
    store_->Detach(ending, awaits_exit);
  }

  // The store. After detach() its memory may be gone, and each method that needs the store throws here; what only writes does
  // nothing.
  Store* Attached(const Napi::CallbackInfo& info) const {
    if (!left_) return store_;
    Napi::Error closed = Napi::Error::New(info.Env(), "These metrics are closed");
    closed.Set("code", "ERR_METRICS_CLOSED");
    throw closed;
  }

  Napi::Value Shard(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), shard_); }
  Napi::Value ChunkCells(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), Attached(info)->cells().region().chunk_cells());
  }

  // row(chunk, shard): an ArrayBuffer over those cells; null where this Node allows none; or a failure.
  Napi::Value Row(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    Store* const store = Attached(info);
    void* address = nullptr;
    if (Status status = store->MapRow(Uint32Of(info[0]), Uint32Of(info[1]), &address); !status.ok())
      return ToFailure(env, status);
    const size_t bytes = store->cells().region().granule_bytes();
    RowHint* hint = new RowHint{bytes, rows_, store};
    rows_->insert(address);
    napi_value buffer = nullptr;
    const napi_status made = napi_create_external_arraybuffer(env, address, bytes, FreeRow, hint, &buffer);
    if (made == napi_ok) return Napi::Value(env, buffer);
    FreeRow(env, address, hint);
    if (env.IsExceptionPending()) env.GetAndClearPendingException();
    return env.Null();
  }

  void Add(const Napi::CallbackInfo& info) {
    if (!left_) AddShared(store_->cells().Shared(Uint32Of(info[0])), Uint64Of(info[1]));
  }
  void SetTo(const Napi::CallbackInfo& info) {
    if (!left_) Set(store_->cells().Shared(Uint32Of(info[0])), Uint64Of(info[1]));
  }
  void Raise(const Napi::CallbackInfo& info) {
    if (!left_) RaiseShared(store_->cells().Shared(Uint32Of(info[0])), Uint64Of(info[1]));
  }

  Napi::Value Total(const Napi::CallbackInfo& info) {
    return Napi::BigInt::New(info.Env(), Attached(info)->cells().Total(Uint32Of(info[0])));
  }
  Napi::Value Pending(const Napi::CallbackInfo& info) {
    return Napi::BigInt::New(info.Env(), Attached(info)->cells().Pending(Uint32Of(info[0])));
  }
  Napi::Value TakeSnapshot(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const Store::Snapshot snapshot = Attached(info)->TakeSnapshot();
    Napi::BigUint64Array totals = Napi::BigUint64Array::New(env, snapshot.totals.size());
    std::copy(snapshot.totals.begin(), snapshot.totals.end(), totals.Data());
    Napi::Array groups = Napi::Array::New(env, snapshot.ids.size());
    for (uint32_t g = 0; g < snapshot.ids.size(); g++) {
      Napi::Array ids = Napi::Array::New(env, snapshot.ids[g].size());
      for (uint32_t i = 0; i < snapshot.ids[g].size(); i++) ids[i] = snapshot.ids[g][i];
      groups[g] = ids;
    }
    Napi::Object out = Napi::Object::New(env);
    out["totals"] = totals;
    out["ids"] = groups;
    return out;
  }

  Napi::Value AllocDevice(const Napi::CallbackInfo& info) {
    const Device* device = nullptr;
    const Status status = Attached(info)->AllocDevice(Uint32Of(info[0]), info[1].As<Napi::String>().Utf8Value(), &device);
    if (!status.ok()) return ToFailure(info.Env(), status);
    return Napi::Number::New(info.Env(), device->first_cell);
  }
  Napi::Value RemoveDevice(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(),
                              Attached(info)->RemoveDevice(Uint32Of(info[0]), info[1].As<Napi::String>().Utf8Value(), &holder_));
  }
  Napi::Value LivingDevices(const Napi::CallbackInfo& info) {
    const std::vector<Devices::Entry> living = Attached(info)->LivingDevices(Uint32Of(info[0]));
    Napi::Array out = Napi::Array::New(info.Env(), living.size());
    for (uint32_t i = 0; i < living.size(); i++) {
      Napi::Object entry = Napi::Object::New(info.Env());
      entry["id"] = living[i].id;
      entry["firstCell"] = living[i].device->first_cell;
      entry["removed"] = false;
      out[i] = entry;
    }
    return out;
  }

  // watch(callback): from now on this thread may write to devices. `callback` is called on it, soon, when it is to let go of
  // some; that keeps no process alive.
  void Watch(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    Store* const store = Attached(info);
    if (is_holder_) return;
    is_holder_ = true;
    const Napi::String name = Napi::String::New(env, "vmm-metrics.letGo");
    if (napi_create_threadsafe_function(env, info[0], nullptr, name, 0, 1, nullptr, nullptr, this, CallLetGo, &call_) ==
        napi_ok) {
      napi_unref_threadsafe_function(env, call_);
      holder_.call = [call = call_] { napi_call_threadsafe_function(call, nullptr, napi_tsfn_nonblocking); };
      // Ours after that of the function, so that it comes before: nobody calls a function that is being taken down.
      napi_remove_env_cleanup_hook(env_, LeaveEnvironment, this);
      napi_add_env_cleanup_hook(env_, LeaveEnvironment, this);
    }
    // Without it, the thread lets go when it next asks for anything of devices.
    store->AddHolder(&holder_);
  }
  static void CallLetGo(napi_env env, napi_value callback, void* self, void*) {
    if (env == nullptr) return;  // the function is being taken down, and `self` may be gone
    // Relaxed: what leaves from here on makes another call; what has left is found under the lock.
    static_cast<Attachment*>(self)->holder_.is_called.store(false, std::memory_order_relaxed);
    napi_value undefined = nullptr, result = nullptr;
    napi_get_undefined(env, &undefined);
    // A worker that is being terminated runs nothing, and lets go when it leaves.
    if (napi_call_function(env, undefined, callback, 0, nullptr, &result) == napi_pending_exception) {
      napi_get_and_clear_last_exception(env, &result);
    }
  }

  // leaving(): the devices that this thread is to let go of, as group, first cell, and so on; undefined when there are none.
  Napi::Value Leaving(const Napi::CallbackInfo& info) {
    Store* const store = Attached(info);
    if (!is_holder_ || !store->HasLeaving(holder_)) return info.Env().Undefined();
    const std::vector<Removed> leaving = store->LeavingOf(holder_, &offered_);
    Napi::Uint32Array out = Napi::Uint32Array::New(info.Env(), 2 * leaving.size());
    for (size_t i = 0; i < leaving.size(); i++) {
      out[2 * i] = leaving[i].group;
      out[2 * i + 1] = leaving[i].device->first_cell;
    }
    return out;
  }
  // letGo(): this thread writes no more to what leaving() gave last.
  void LetGo(const Napi::CallbackInfo&) {
    // Release: pairs with the acquire in Leaving::Take, for this thread's plain adds.
    if (!left_ && is_holder_) holder_.seen.store(offered_, std::memory_order_release);
  }
  Napi::Value RestCell(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), Attached(info)->RestOf(Uint32Of(info[0])));
  }

  // init(destination, recoveries)
  Napi::Value Init(const Napi::CallbackInfo& info) {
    Status status;
    Recoveries recoveries;
    AddRecoveries(info[1], &recoveries);
    const bool is_path = info[0].IsString();
    const std::string path = is_path ? info[0].As<Napi::String>().Utf8Value() : std::string();
    const int descriptor = is_path ? -1 : info[0].As<Napi::Number>().Int32Value();
    Flusher& flusher = Attached(info)->flusher();
    switch (flusher.Init(is_path ? path.c_str() : nullptr, descriptor, &status, &recoveries)) {
      case InitResult::kDone:
        flusher.Recover();  // what does not get out goes before the next line
        return Napi::Boolean::New(info.Env(), true);
      case InitResult::kAlready: return Napi::Boolean::New(info.Env(), false);
      case InitResult::kFailed: break;
    }
    return ToFailure(info.Env(), status);
  }
  Napi::Value Inherits(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), Attached(info)->Inherits()); }
  Napi::Value HasSink(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), Attached(info)->flusher().is_initialized());
  }
  Napi::Value Flush(const Napi::CallbackInfo& info) {
    Status status;
    switch (Attached(info)->Flush(&status)) {
      case FlushResult::kOut: return Napi::Boolean::New(info.Env(), true);
      case FlushResult::kNotInitialized: return Napi::Boolean::New(info.Env(), false);
      case FlushResult::kFailed: break;
    }
    return ToFailure(info.Env(), status);
  }
  Napi::Value StartPeriodicFlush(const Napi::CallbackInfo& info) {
    return ToFailure(info.Env(),
                     Attached(info)->StartPeriodicFlush(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value())));
  }
  // captureSignals(signals, leaveIgnored, limitMs)
  Napi::Value CaptureSignals(const Napi::CallbackInfo& info) {
    CaptureOptions options;
    for (const uint32_t signal : VectorOf<uint32_t>(info[0])) options.signals |= SetOf(static_cast<int>(signal));
    options.leave_ignored = info[1].As<Napi::Boolean>().Value();
    options.limit_ms = info[2].As<Napi::Number>().Int32Value();
    return ToFailure(info.Env(), Attached(info)->CaptureSignals(options));
  }
  // displaced(): the numbers of the captured signals whose place somebody else's handler has.
  Napi::Value CheckDisplaced(const Napi::CallbackInfo& info) {
    const SignalSet displaced = Attached(info)->CheckDisplaced();
    Napi::Array out = Napi::Array::New(info.Env());
    for (int signal = 1; signal < kSignals; signal++) {
      if ((displaced & SetOf(signal)) != 0) out[out.Length()] = Napi::Number::New(info.Env(), signal);
    }
    return out;
  }
  // retakeSignal(signal): takes that place again.
  void RetakeSignal(const Napi::CallbackInfo& info) { Attached(info)->RetakeSignals(SetOf(static_cast<int>(Uint32Of(info[0])))); }

  // startProfiling(cells, intervalNs, header, annotation, output): what StopProfiling takes; or a failure.
  Napi::Value StartProfiling(const Napi::CallbackInfo& info) {
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
    spec.lines = store->flusher().place();
    std::shared_ptr<Profile> profile;
    if (Status status = store->profiler().Start(std::move(spec), &profile); !status.ok()) return ToFailure(env, status);
    profile_ = profile;
    store->Retain();
    return Napi::External<StartedProfile>::New(env, new StartedProfile{store, std::move(profile)},
                                               [](Napi::Env, StartedProfile* started) { delete started; });
  }

  // The external for other addons; it keeps the store's memory, and does not keep the store open.
  Napi::Value Native(const Napi::CallbackInfo& info) {
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

  // ends(isPanic, exitCode, isProcess): this thread is about to, and with it the process, or not.
  void Ends(const Napi::CallbackInfo& info) {
    if (left_) return;
    if (info[0].As<Napi::Boolean>().Value()) ending_.state = RegionState::kPanicked;
    ending_.exit_code = info[1].As<Napi::Number>().Int32Value();
    is_process_ending_ = info[2].As<Napi::Boolean>().Value();
    if (is_process_ending_) store_->NoteEnding(ending_);
  }

  void Detach(const Napi::CallbackInfo&) { Leave({RegionState::kClosed, 0}, false); }

  static thread_local std::set<const Attachment*> here_;  // those of this thread that have not left

  Store* const store_;
  const napi_env env_;
  const std::shared_ptr<Rows> rows_;
  std::shared_ptr<Profile> profile_;  // the last one that was started here
  uint32_t shard_ = kSharedShard;
  Ending ending_;
  bool is_process_ending_ = false;
  Holder holder_;
  napi_threadsafe_function call_ = nullptr;
  uint64_t offered_ = 0;  // the epoch of what leaving() gave last
  bool is_holder_ = false;
  bool left_ = false;
};

thread_local std::set<const Attachment*> Attachment::here_;

struct EnvironmentData {
  Napi::FunctionReference attachment;
};

std::vector<NamedMetric> MetricsOf(const Napi::Value& value) {
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<NamedMetric> out;
  for (uint32_t i = 0; i < array.Length(); i++) {
    const Napi::Object metric = array.Get(i).As<Napi::Object>();
    out.push_back(
        {metric.Get("name").As<Napi::String>().Utf8Value(), Uint32Of(metric.Get("kind")), Uint32Of(metric.Get("cell"))});
  }
  return out;
}

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
  return spec;
}

// open(spec): an Attachment; the other schema's text when the name is taken by one; or a failure.
Napi::Value Open(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  StoreSpec spec = SpecOf(info[0].As<Napi::Object>());
  Opened opened;
  OpenConflict conflict;
  const Status status = Store::Open(std::move(spec), &opened.store, &conflict);
  if (!status.ok()) {
    Napi::Value failure = ToFailure(env, status);
    failure.As<Napi::Object>()["holder"] = conflict.holder;
    return failure;
  }
  if (opened.store == nullptr) return Napi::String::New(env, conflict.other_schema);
  return env.GetInstanceData<EnvironmentData>()->attachment.New({Napi::External<Opened>::New(env, &opened)});
}

// openStores(): the open stores of this process, of all copies of the addon: { name, fingerprint, addon? }.
Napi::Value AllOpenStores(const Napi::CallbackInfo& info) {
  const std::vector<OpenStore> all = OpenStores();
  Napi::Array out = Napi::Array::New(info.Env(), all.size());
  for (uint32_t i = 0; i < all.size(); i++) {
    Napi::Object one = Napi::Object::New(info.Env());
    one["name"] = all[i].name;
    one["fingerprint"] = Napi::BigInt::New(info.Env(), all[i].schema_fingerprint);
    if (!all[i].addon.empty()) one["addon"] = all[i].addon;
    out[i] = one;
  }
  return out;
}

// isFirst(text): whether nobody in this process asked so before.
Napi::Value AskIsFirst(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), IsFirst(info[0].As<Napi::String>().Utf8Value()));
}

// clocks(): [CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID] in whole microseconds.
Napi::Value Clocks(const Napi::CallbackInfo& info) {
  Napi::BigUint64Array out = Napi::BigUint64Array::New(info.Env(), 2);
  const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID};
  for (size_t i = 0; i < 2; i++) {
    timespec now;
    clock_gettime(clocks[i], &now);
    out[i] = static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
  }
  return out;
}

// format(): every offset and size of native/format.h, for the test that holds the TypeScript to them.
Napi::Value Format(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object header = Napi::Object::New(env), crash = Napi::Object::New(env), line = Napi::Object::New(env);
  Napi::Object entry = Napi::Object::New(env), out = Napi::Object::New(env);
  header["magic"] = offsetof(RegionHeader, magic);
  header["version"] = offsetof(RegionHeader, version);
  header["byteOrder"] = offsetof(RegionHeader, byte_order);
  header["granuleBytes"] = offsetof(RegionHeader, granule_bytes);
  header["shards"] = offsetof(RegionHeader, shards);
  header["banks"] = offsetof(RegionHeader, banks);
  header["directoryRows"] = offsetof(RegionHeader, directory_rows);
  header["schemaFingerprint"] = offsetof(RegionHeader, schema_fingerprint);
  header["documentOffset"] = offsetof(RegionHeader, document_offset);
  header["documentBytes"] = offsetof(RegionHeader, document_bytes);
  header["chunksOffset"] = offsetof(RegionHeader, chunks_offset);
  header["processId"] = offsetof(RegionHeader, process_id);
  header["state"] = offsetof(RegionHeader, state);
  header["processStartTicks"] = offsetof(RegionHeader, process_start_ticks);
  header["processStartRealtimeNs"] = offsetof(RegionHeader, process_start_realtime_ns);
  header["bootId"] = offsetof(RegionHeader, boot_id);
  header["commit"] = offsetof(RegionHeader, commit);
  header["cellsUsed"] = offsetof(RegionHeader, cells_used);
  header["shardsUsed"] = offsetof(RegionHeader, shards_used);
  header["devicesUsed"] = offsetof(RegionHeader, devices_used);
  header["degraded"] = offsetof(RegionHeader, degraded);
  header["crash"] = offsetof(RegionHeader, crash);
  header["line"] = offsetof(RegionHeader, line);
  header["exitCode"] = offsetof(RegionHeader, exit_code);
  header["unsettled"] = offsetof(RegionHeader, unsettled);
  header["retiredEpoch"] = offsetof(RegionHeader, retired_epoch);
  header["reserved"] = offsetof(RegionHeader, reserved);
  header["sinkPath"] = offsetof(RegionHeader, sink_path);
  crash["signal"] = offsetof(CrashRecord, signal);
  crash["code"] = offsetof(CrashRecord, code);
  crash["address"] = offsetof(CrashRecord, address);
  crash["threadId"] = offsetof(CrashRecord, thread_id);
  crash["reserved"] = offsetof(CrashRecord, reserved);
  crash["realtimeNs"] = offsetof(CrashRecord, realtime_ns);
  line["commit"] = offsetof(LineInFlight, commit);
  line["device"] = offsetof(LineInFlight, device);
  line["inode"] = offsetof(LineInFlight, inode);
  line["offset"] = offsetof(LineInFlight, offset);
  line["bytes"] = offsetof(LineInFlight, bytes);
  line["sent"] = offsetof(LineInFlight, sent);
  line["isRegularFile"] = offsetof(LineInFlight, is_regular_file);
  line["reserved"] = offsetof(LineInFlight, reserved);
  entry["group"] = offsetof(DirectoryEntry, group);
  entry["firstCell"] = offsetof(DirectoryEntry, first_cell);
  entry["state"] = offsetof(DirectoryEntry, state);
  entry["idBytes"] = offsetof(DirectoryEntry, id_bytes);
  entry["id"] = offsetof(DirectoryEntry, id);
  out["HeaderOffset"] = header;
  out["CrashOffset"] = crash;
  out["LineOffset"] = line;
  out["DirectoryEntryOffset"] = entry;
  out["MAGIC"] = Napi::BigInt::New(env, kMagic);
  out["FORMAT_VERSION"] = kFormatVersion;
  out["BYTE_ORDER"] = kByteOrder;
  out["CELLS_MAX"] = kCellsMax;
  out["DEVICES_MAX"] = kDevicesMax;
  out["LINE_BYTES_MAX"] = static_cast<double>(kLineBytesMax);
  out["ENTRY_STATE_BITS"] = kEntryStateBits;
  out["SHARDS"] = kShards;
  out["BANKS"] = kBanks;
  out["MAX_CHUNKS"] = kMaxChunks;
  out["DOCUMENT_BYTES_MAX"] = kDocumentBytesMax;
  out["ID_BYTES_MAX"] = kIdBytesMax;
  out["SINK_PATH_BYTES_MAX"] = kSinkPathBytesMax;
  out["DIRECTORY_ENTRY_BYTES"] = sizeof(DirectoryEntry);
  out["DIRECTORY_ROWS"] = kDirectoryRows;
  out["FIRST_DIRECTORY_ROW"] = kFirstDirectoryRow;
  out["FIRST_SHARD_ROW"] = kFirstShardRow;
  out["ROWS"] = kRows;
  out["HEADER_BYTES"] = sizeof(RegionHeader);
  out["BOOT_ID_BYTES"] = sizeof(RegionHeader::boot_id);
  out["LINE_BYTES"] = sizeof(LineInFlight);
  return out;
}

// pages(bytes): memory that begins at a page, all 0. To JavaScript an address says nothing, so it is aligned here.
Napi::Value Pages(const Napi::CallbackInfo& info) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t bytes = Uint32Of(info[0]);
  Napi::ArrayBuffer memory = Napi::ArrayBuffer::New(info.Env(), bytes + page - 1);
  const size_t past = reinterpret_cast<uintptr_t>(memory.Data()) % page;
  return Napi::Uint8Array::New(info.Env(), bytes, memory, past == 0 ? 0 : page - past, napi_uint8_array);
}

// isLocked(descriptor): whether somebody else holds the file for themselves; or a failure.
Napi::Value IsLocked(const Napi::CallbackInfo& info) {
  bool is_locked = false;
  const Status status = IsFileLocked(info[0].As<Napi::Number>().Int32Value(), &is_locked);
  return status.ok() ? Napi::Boolean::New(info.Env(), is_locked) : ToFailure(info.Env(), status);
}

// lock(descriptor): false when somebody has it; or a failure.
Napi::Value Lock(const Napi::CallbackInfo& info) {
  bool is_ours = false;
  const Status status = LockFile(info[0].As<Napi::Number>().Int32Value(), &is_ours);
  return status.ok() ? Napi::Boolean::New(info.Env(), is_ours) : ToFailure(info.Env(), status);
}

// send(descriptor, line, patienceMs): { sent, failure? }, for a line that no store of this process makes.
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
    for (;;) {
      {
        SignalMask mask;  // a file size limit is an error here, not a death
        sent += sink.Write(text.data() + sent, text.size() - sent, &status);
        if (!status.ok()) SignalMask::Discard(status.error);
      }
      if (status.ok()) break;
      const int64_t left_ms = deadline_ms - MonotonicMs();
      if ((status.error != EAGAIN && status.error != EWOULDBLOCK) || left_ms <= 0) break;
      sink.WaitWritable(static_cast<int>(left_ms));
    }
    sink.Close();
  }
  Napi::Object out = Napi::Object::New(env);
  // A newline that had to go first is no part of the line.
  const size_t before = text.size() > line.size() ? 1 : 0;
  out["sent"] = Napi::Number::New(env, static_cast<double>(sent < before ? 0 : sent - before));
  if (!status.ok()) out["failure"] = ToFailure(env, status);
  return out;
}

void FreeStackOf(void* hook) {
  void** const stack = static_cast<void**>(hook);
  FreeAlternateStack(*stack);
  delete stack;
}

Napi::Object InitAddon(Napi::Env env, Napi::Object exports) {
  // A worker that runs out of stack in native code must find another one for the handler, from its first Metrics.open() on, which
  // loads this.
  // Another copy of the JavaScript may load it once more on the same thread, and gets the same stack: a hook's data must be its
  // own.
  if (void* stack = MakeAlternateStack(); stack != nullptr) napi_add_env_cleanup_hook(env, FreeStackOf, new void*(stack));
  env.SetInstanceData(new EnvironmentData{Napi::Persistent(Attachment::Define(env))});
  exports["version"] = kVersion;
  exports["openStores"] = Napi::Function::New(env, AllOpenStores, "openStores");
  exports["isFirst"] = Napi::Function::New(env, AskIsFirst, "isFirst");
  exports["open"] = Napi::Function::New(env, Open, "open");
  exports["format"] = Napi::Function::New(env, Format, "format");
  exports["stopProfiling"] = Napi::Function::New(env, StopProfiling, "stopProfiling");
  exports["clocks"] = Napi::Function::New(env, Clocks, "clocks");
  exports["pages"] = Napi::Function::New(env, Pages, "pages");
  exports["isLocked"] = Napi::Function::New(env, IsLocked, "isLocked");
  exports["lock"] = Napi::Function::New(env, Lock, "lock");
  exports["send"] = Napi::Function::New(env, Send, "send");
  return exports;
}

}  // namespace

NODE_API_MODULE(vmm_metrics, InitAddon)

}  // namespace vmm

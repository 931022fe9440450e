// An Attachment is one JavaScript thread's hold on a store.
//
// Thread-safety:       a JavaScript thread, for its own environment.
// Async-signal-safety: none.
// Lifetime:            from open() to detach(), or to the end of the environment; its cleanup hook gives everything
//                      back, so that a worker may be terminated at any moment. After that, what only writes does
//                      nothing, and the rest throws ERR_METRICS_CLOSED.

#pragma once

#include <napi.h>

#include <memory>
#include <set>

// First, with Node-API: behind native_abi.h it would come without.
#include "../../include/vmm_metrics.h"
#include "node/mapped_rows.h"
#include "profile/profile.h"
#include "store/store.h"

namespace vmm {

class Attachment : public Napi::ObjectWrap<Attachment> {
 public:
  static Napi::Function Define(Napi::Env env);

  // Called by Open only, with the attachment to take over.
  explicit Attachment(const Napi::CallbackInfo& info);

  ~Attachment() override;

 private:
  static void LeaveEnvironment(void* data);

  // Without close(), as this thread ends.
  void Leave();
  void Leave(const Ending& ending, bool awaits_exit);

  // The store. After detach() its memory may be gone, and each method that needs the store throws here; what only
  // writes does nothing.
  Store* Attached(const Napi::CallbackInfo& info) const;

  Napi::Value Shard(const Napi::CallbackInfo& info);
  Napi::Value ChunkCells(const Napi::CallbackInfo& info);

  // row(chunk, shard): an ArrayBuffer over those cells; null where this Node allows none; or a failure.
  Napi::Value Row(const Napi::CallbackInfo& info);

  void Add(const Napi::CallbackInfo& info);
  void SetTo(const Napi::CallbackInfo& info);
  void Raise(const Napi::CallbackInfo& info);

  Napi::Value Total(const Napi::CallbackInfo& info);
  Napi::Value Pending(const Napi::CallbackInfo& info);
  Napi::Value TakeSnapshot(const Napi::CallbackInfo& info);

  Napi::Value AllocDevice(const Napi::CallbackInfo& info);
  Napi::Value RemoveDevice(const Napi::CallbackInfo& info);
  Napi::Value LivingDevices(const Napi::CallbackInfo& info);

  // watch(callback): from now on this thread may write to devices. `callback` is called on it, soon, when it is to let
  // go of some; that keeps no process alive.
  void Watch(const Napi::CallbackInfo& info);
  static void CallLetGo(napi_env env, napi_value callback, void* self, void*);

  // leaving(): the devices that this thread is to let go of, as group, first cell, and so on; undefined when there are
  // none.
  Napi::Value Leaving(const Napi::CallbackInfo& info);
  // letGo(): this thread writes no more to what leaving() gave last.
  void LetGo(const Napi::CallbackInfo&);
  Napi::Value RestCell(const Napi::CallbackInfo& info);

  // init(destination, recoveries)
  Napi::Value Init(const Napi::CallbackInfo& info);
  Napi::Value Inherits(const Napi::CallbackInfo& info);
  Napi::Value HasSink(const Napi::CallbackInfo& info);
  Napi::Value Flush(const Napi::CallbackInfo& info);
  Napi::Value StartPeriodicFlush(const Napi::CallbackInfo& info);
  // captureSignals(signals, leaveIgnored, limitMs)
  Napi::Value CaptureSignals(const Napi::CallbackInfo& info);
  // displaced(): the numbers of the captured signals whose place somebody else's handler has.
  Napi::Value CheckDisplaced(const Napi::CallbackInfo& info);
  // retakeSignal(signal): takes that place again.
  void RetakeSignal(const Napi::CallbackInfo& info);

  // startProfiling(cells, intervalNs, header, annotation, output): what StopProfiling takes; or a failure.
  Napi::Value StartProfiling(const Napi::CallbackInfo& info);

  // The external for other addons; it keeps the store's memory, and does not keep the store open.
  Napi::Value Native(const Napi::CallbackInfo& info);

  // ends(isPanic, exitCode, isProcess): this thread is about to, and with it the process, or not.
  void Ends(const Napi::CallbackInfo& info);

  void Detach(const Napi::CallbackInfo&);

  static thread_local std::set<const Attachment*> here_;  // those of this thread that have not left

  Store* const store_;
  const napi_env env_;
  const std::shared_ptr<MappedRows> rows_;
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

struct EnvironmentData {
  Napi::FunctionReference attachment;
};

// open(spec): an Attachment; the other schema's text when the name is taken by one; or a failure.
Napi::Value Open(const Napi::CallbackInfo& info);

}  // namespace vmm

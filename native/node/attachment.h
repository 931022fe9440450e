// An Attachment is one JavaScript thread's hold on a store. Its methods are those that lib/binding.ts declares.
//
// Thread-safety:       a JavaScript thread, for its own environment.
// Async-signal-safety: none.
// Lifetime:            from open() to detach(), or to the end of the environment: a cleanup hook gives everything back,
//                      so a worker may be terminated at any moment. After that, methods that only write do nothing, and
//                      the others throw ERR_METRICS_CLOSED.

#pragma once

#include <memory>
#include <set>

// This comes before store/native_abi.h, which includes vmm_metrics.h without the Node-API part.
#include "../../include/vmm_metrics.h"
#include "node/node_addon_api.h"
#include "node/row_buffers.h"
#include "profile/profile.h"
#include "region/known_region.h"
#include "store/store.h"

namespace vmm {

class Attachment : public Napi::ObjectWrap<Attachment> {
 public:
  static Napi::Function Define(Napi::Env env);

  // Only Open calls this. The argument is an external with the store attachment to take over.
  explicit Attachment(const Napi::CallbackInfo& info);

  ~Attachment() override;

 private:
  static void LeaveEnvironment(void* data);

  // Leaves without close(): the thread ends.
  void Leave();
  void Leave(const Ending& ending, bool awaits_exit);

  // The store; throws ERR_METRICS_CLOSED after detach(), when the store's memory may be gone.
  Store* Attached(const Napi::CallbackInfo& info) const;

  Napi::Value Shard(const Napi::CallbackInfo& info);
  Napi::Value ChunkCells(const Napi::CallbackInfo& info);

  // row(chunk, shard): an ArrayBuffer over those cells; null when this Node allows no external ArrayBuffer; or a
  // failure.
  Napi::Value Row(const Napi::CallbackInfo& info);
  // header(): an ArrayBuffer over the region's header; or null, or a failure, likewise.
  Napi::Value Header(const Napi::CallbackInfo& info);
  // An ArrayBuffer over a second mapping, which it owns; null when this Node allows no external ArrayBuffer.
  Napi::Value BufferOver(Napi::Env env, void* address);

  void Add(const Napi::CallbackInfo& info);
  void SetTo(const Napi::CallbackInfo& info);
  void Raise(const Napi::CallbackInfo& info);

  Napi::Value Total(const Napi::CallbackInfo& info);
  Napi::Value Totals(const Napi::CallbackInfo& info);
  Napi::Value Pending(const Napi::CallbackInfo& info);
  Napi::Value TakeSnapshot(const Napi::CallbackInfo& info);
  Napi::Value TakeTotals(const Napi::CallbackInfo& info);

  Napi::Value AllocDevice(const Napi::CallbackInfo& info);
  Napi::Value RemoveDevice(const Napi::CallbackInfo& info);
  Napi::Value LivingDevices(const Napi::CallbackInfo& info);

  // watch(callback): this thread may write to devices from now on. The callback runs on this thread, soon after devices
  // begin to leave, and must let go of them. It does not keep the process alive.
  void Watch(const Napi::CallbackInfo& info);
  static void CallLetGo(napi_env env, napi_value callback, void* self, void*);

  // leaving(): the devices that this thread must let go of, as [group, first cell, group, first cell, ...]; undefined
  // when there are none.
  Napi::Value Leaving(const Napi::CallbackInfo& info);
  // letGo(): this thread no longer writes to the devices that the last leaving() returned.
  void LetGo(const Napi::CallbackInfo&);
  Napi::Value RestCell(const Napi::CallbackInfo& info);

  // init(destination, recoveries)
  Napi::Value Init(const Napi::CallbackInfo& info);
  Napi::Value Inherits(const Napi::CallbackInfo& info);
  Napi::Value HasSink(const Napi::CallbackInfo& info);
  Napi::Value Flush(const Napi::CallbackInfo& info);
  // Gives the object a function `flush` of its own. Node-API finds the Attachment of a method by looking it up in the
  // object, which takes as long as half of the flush without the system calls; a function has it at hand.
  void DefineFastFlush(Napi::Object self);
  static Napi::Value FlushOf(const Napi::CallbackInfo& info);
  Napi::Value StartPeriodicFlush(const Napi::CallbackInfo& info);
  void StopPeriodicFlush(const Napi::CallbackInfo& info);
  // captureSignals(signals, leaveIgnored, limitMs)
  Napi::Value CaptureSignals(const Napi::CallbackInfo& info);
  // displaced(): the numbers of the captured signals for which another handler has displaced ours.
  Napi::Value CheckDisplaced(const Napi::CallbackInfo& info);
  // retakeSignal(signal): puts our handler above the one that displaced it.
  void RetakeSignal(const Napi::CallbackInfo& info);

  // sampleKvm(vcpus, descriptors): a failure with `index`, or undefined. In `vcpus`, null stands for the VM.
  Napi::Value SampleKvm(const Napi::CallbackInfo& info);
  // kvmLosses(): the targets of sampleKvm() that cannot be read any more, each once: { vcpu, failure }.
  Napi::Value KvmLosses(const Napi::CallbackInfo& info);
  // listen(callback): the callback runs on this thread, soon after something went wrong in the store, and takes that
  // with troubles(). It does not keep the process alive. Only the first call for a store has an effect.
  void Listen(const Napi::CallbackInfo& info);
  // troubles(): `{ missed, isDegraded, displaced }`, what went wrong since the last call.
  Napi::Value TakeTroubles(const Napi::CallbackInfo& info);

  // startProfiling(cells, intervalNs, header, annotation, output): an external for stopProfiling(); or a failure.
  Napi::Value StartProfiling(const Napi::CallbackInfo& info);

  // native(): the external for other addons. It keeps the store's memory, but does not keep the store open.
  Napi::Value Native(const Napi::CallbackInfo& info);

  // ends(isPanic, exitCode, isProcess): this thread is about to end; with isProcess, the process is too.
  void Ends(const Napi::CallbackInfo& info);

  void Detach(const Napi::CallbackInfo&);

  static thread_local std::set<const Attachment*> here_;  // this thread's attachments that have not left

  Store* const store_;
  const napi_env env_;
  const std::shared_ptr<RowBuffers> rows_;
  std::shared_ptr<Profile> profile_;  // the last profile that this attachment started
  uint32_t shard_ = kSharedShard;
  Ending ending_;
  bool is_process_ending_ = false;
  Holder holder_;
  napi_threadsafe_function call_ = nullptr;
  napi_threadsafe_function trouble_call_ = nullptr;
  uint64_t snapshot_changes_ = 0;  // `device_changes` of the last snapshot()
  uint64_t offered_ = 0;           // the epoch of the devices that the last leaving() returned
  bool is_holder_ = false;
  bool left_ = false;
};

struct EnvironmentData {
  Napi::FunctionReference attachment;
  RowMemory rows = {};  // for readKnownRegions
};

// open(spec): an Attachment, or a failure. If an open store with this name has another schema: the text of that schema.
Napi::Value Open(const Napi::CallbackInfo& info);

}  // namespace vmm

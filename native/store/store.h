// A Store is one set of metrics in this process, known by its name: cells, devices, program, flusher and crash capture
// together.
//
// Thread-safety:       every function may be called by any thread.
// Async-signal-safety: none here; the parts say for themselves.
// Lifetime:            counted in two ways. Attachments (one a JavaScript thread) keep it open: the last one to go
//                      flushes, ends the threads and handlers, and frees the name. References (attachments, externals,
//                      native threads, rows that JavaScript still has) keep its memory.

#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "crash/capture.h"
#include "flush/devices.h"
#include "flush/flusher.h"
#include "flush/leaving.h"
#include "flush/program.h"
#include "flush/retirement.h"
#include "profile/profiler.h"
#include "region/directory.h"
#include "store/ending.h"
#include "store/native_abi.h"
#include "store/periodic.h"
#include "store/store_spec.h"

namespace vmm {

// Why a store could not be opened, where a Status is not enough.
struct OpenConflict {
  std::string other_schema;  // of the store that has the name in this process
  int32_t holder = 0;        // the process that has the file
};

class Store {
 public:
  // Attaches to the store of that name, made when there is none. When there is one of another schema or file, nothing
  // happens and `conflict` has its text. The caller owns an attachment.
  static Status Open(StoreSpec&& spec, Store** store, OpenConflict* conflict);

  // Gives an attachment back. The last one closes the store, and `ending` is how. By close() a last line goes out even
  // without news. `awaits_exit`: the process ends too, with a code of its own.
  void Detach(const Ending& ending, bool awaits_exit = false);
  void Detach(bool is_close) { Detach(is_close ? Ending{RegionState::kClosed, 0} : Ending{}); }
  // The process is about to end in this way, by its main thread; `exit_code` may be another in the end.
  void NoteEnding(const Ending& ending);

  // A line, if it would say more than the last one did.
  void FlushIfChanged();
  // The process ends in order, and nobody has detached: a line of news, the end of the profile, and the state of the
  // region.
  void EndWithProcess(int32_t exit_code);
  // The same for all stores of this process, at its exit.
  static void EndAllWithProcess(int32_t exit_code);

  // Calls `visit` for each open store of this process, under the registry's lock.
  static void VisitOpen(void (*visit)(void* context, const char* name, uint64_t schema_fingerprint), void* context);

  void Retain() { references_.fetch_add(1, std::memory_order_relaxed); }  // whoever calls it has a reference already
  void Unreference();

  bool is_closed() const { return closed_.load(std::memory_order_acquire); }

  // True once, for a store with a file: what was in the file's place is kept under other names, and nobody has looked
  // at it.
  bool Inherits() {
    return !spec_.file.empty() && !has_inherited_.exchange(true, std::memory_order_relaxed);
  }  // publishes nothing

  uint32_t ClaimShard();
  void GiveBackShard(uint32_t shard);

  // The living device of that id, made when it is not there. Its cells are the caller's to write for as long as a
  // holder of the caller's has not let go, or it is pinned. kKeyTaken: the line has that key.
  // kTooManyDevices, kTooManyCells, kLineTooLong: a limit of the store is met. kMemory: there is no memory.
  Status AllocDevice(uint32_t group, const std::string& id, const Device** device, bool is_pinned = false);
  // False when there is none of that id. `self` is the holder of the thread that calls, which needs no call.
  bool RemoveDevice(uint32_t group, const std::string& id, const Holder* self = nullptr);
  // Takes back one pin of the device whose cells begin there. False when it has none.
  bool ReleaseDevice(uint32_t group, uint32_t first_cell);
  std::vector<Devices::Entry> LivingDevices(uint32_t group);

  // A thread that has devices: from before its first one until it writes no more.
  void AddHolder(Holder* holder);
  void RemoveHolder(Holder* holder);
  // Whether devices are leaving that the holder has not let go of. Cheap.
  bool HasLeaving(const Holder& holder) const { return holder.seen.load(std::memory_order_relaxed) != leaving_.epoch(); }
  // Which they are, and the epoch that the holder has seen once it has let go of them: it stores that with release.
  std::vector<Removed> LeavingOf(const Holder& holder, uint64_t* epoch);
  // Where the cells begin that count what comes through accessors of devices that were let go of.
  uint32_t RestOf(uint32_t group) const { return retirement_.rest(group); }

  // All totals: those of the schema's own cells; then for each group those of its removed devices together, which only
  // inc metrics have, and those of each living device, in the order of `ids`.
  struct Snapshot {
    std::vector<uint64_t> totals;
    std::vector<std::vector<std::string>> ids;
  };
  Snapshot TakeSnapshot();

  // A further mapping of the row of cells that `shard` has in `chunk`.
  Status MapRow(uint32_t chunk, uint32_t shard, void** address);

  Status StartPeriodicFlush(uint64_t interval_ms) { return periodic_.Start(interval_ms); }
  Status CaptureSignals(const CaptureOptions& options = {});

  // One line, by way of the flusher; before it, what captured signals and a file need now and then.
  FlushResult Flush(Status* status, int patience_ms = 0);

  // Whether somebody else's handler has taken the place of a captured signal's. Counted once for each, in the metric
  // for errors.
  SignalSet CheckDisplaced();
  // Takes the places of those captured signals again, above whoever has them now and is handed on to.
  void RetakeSignals(SignalSet signals);

  Profiler& profiler() { return profiler_; }
  Cells& cells() { return cells_; }
  Flusher& flusher() { return flusher_; }  // for Init and place
  const DeviceLists& device_lists() const { return devices_.lists(); }
  const StoreSpec& spec() const { return spec_; }
  // For native code of other addons.
  const vmm_metrics_abi& abi() const { return abi_; }

 private:
  // How long exit() waits for locks that others have.
  static constexpr int kExitLockMs = 250;

  explicit Store(StoreSpec&& spec);
  ~Store();
  Status Create(OpenConflict* conflict);
  void SetEnding(const Ending& ending);
  // What captured signals and a file need now and then.
  void BeforeFlush();
  void Close(const Ending& ending, bool awaits_exit);
  // Under the lock. A new device.
  Status MakeDevice(uint32_t group, const std::string& id, const Device** device);
  // Both under the lock. Retires what it can, if that takes no waiting; false when there is no more to do now.
  bool Recycle();
  void RecycleQuietly(size_t* retired);

  const StoreSpec spec_;
  const ProgramView program_;
  const vmm_metrics_abi abi_;
  std::mutex mutex_;  // shards, devices, the size of lines, rows
  Cells cells_;
  Directory directory_;
  Devices devices_;
  Flusher flusher_;
  Periodic periodic_;
  Profiler profiler_;
  Leaving leaving_;
  Retirement retirement_;
  CaptureTarget capture_target_;
  uint64_t line_bytes_ = 0;
  uint64_t profiles_ended_ = 0;
  int64_t may_recycle_ms_ = 0;  // by MonotonicMs()
  int attachments_ = 0;         // under the registry's lock
  std::atomic<int> references_{1};
  std::atomic<bool> closed_{false};
  std::atomic<bool> is_captured_{false};
  std::atomic<bool> has_inherited_{false};
  std::atomic<bool> has_panicked_{false};
  std::atomic<int32_t> exit_code_{kExitCodeUnknown};
  std::atomic<SignalSet> displaced_{0};
  bool is_guarded_ = false;
  Store* next_at_exit_ = nullptr;  // of EndAllWithProcess alone
};

}  // namespace vmm

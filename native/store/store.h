// A Store is one set of metrics in this process, known by its name. It owns the cells, the devices, the program, the
// flusher, the profiler and the crash capture.
//
// Thread-safety:       any thread may call any function.
// Async-signal-safety: none here; see the contract of each part.
// Lifetime:            counted in two ways. Attachments (each JavaScript thread has one) keep the store open: the last
//                      Detach flushes, ends the threads and handlers, and frees the name. References (attachments,
//                      externals, native threads, mapped rows) keep its memory.

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
#include "flush/line_template.h"
#include "flush/program.h"
#include "flush/retirement.h"
#include "kvm/watches.h"
#include "profile/profiler.h"
#include "region/directory.h"
#include "store/ending.h"
#include "store/native_abi.h"
#include "store/periodic.h"
#include "store/store_spec.h"
#include "store/troubles.h"

namespace vmm {

// Why a store could not be opened, in addition to the Status.
struct OpenConflict {
  std::string other_schema;  // the schema of the open store with the same name
  int32_t holder = 0;        // the process that uses the file; 0: not known
};

class Store {
 public:
  // How many words of the region are read and set to 0 at once when devices are retired, unless one device has more. A
  // crash handler may have to wait for this work, which takes a few milliseconds. A device has a word for each of its
  // cells in each shard and bank, and each histogram has hundreds of cells.
  static constexpr uint64_t kRetiredWordsAtOnce = uint64_t{1} << 19;

  // Attaches to the open store of that name, or makes the store. The caller owns one attachment. When the open store
  // has another schema_text, `*store` is null, the status is ok, and `conflict` holds the other text.
  static Status Open(StoreSpec&& spec, Store** store, OpenConflict* conflict);

  // Gives one attachment back. The last attachment closes the store, which ends as `ending` says. An ending by close()
  // writes a last line in any case; any other ending only if there is something to flush. `awaits_exit`: the process
  // is ending too, and its exit code is known later.
  void Detach(const Ending& ending, bool awaits_exit = false);
  void Detach(bool is_close) { Detach(is_close ? Ending{RegionState::kClosed, 0} : Ending{}); }
  // The main thread is about to end the process in this way. The exit code may still change.
  void NoteEnding(const Ending& ending);

  // Writes a line if there is something to flush. Otherwise sends what is left of the last lines of earlier lives.
  void FlushIfChanged();
  // The process is in exit(), and no thread has detached: writes a line if there is something to flush, ends the
  // profile, and writes the ending into the region.
  void EndWithProcess(int32_t exit_code);
  // EndWithProcess for all stores of this process.
  static void EndAllWithProcess(int32_t exit_code);

  // Calls `visit` for each open store of this process, under the registry's lock.
  static void VisitOpen(void (*visit)(void* context, const char* name, uint64_t schema_fingerprint), void* context);

  // Relaxed: publishes nothing, since the caller has a reference already.
  void Retain() { references_.fetch_add(1, std::memory_order_relaxed); }
  void Unreference();

  bool is_closed() const { return closed_.load(std::memory_order_acquire); }  // pairs with the release store in Close

  // True once, for a store with a file. The caller that gets true has to look at the earlier files of that path.
  // Relaxed: one caller gets true; it publishes nothing.
  bool Inherits() { return !spec_.file.empty() && !has_inherited_.exchange(true, std::memory_order_relaxed); }

  uint32_t ClaimShard();
  void GiveBackShard(uint32_t shard);

  // Finds or makes the device of that id. The caller may write its cells until the caller's holder lets go of the
  // device. If the device is pinned, the caller may write until ReleaseDevice. kKeyTaken: the line has that key.
  // kTooManyDevices, kTooManyCells, kLineTooLong: a limit of the store is met. kMemory: there is no memory.
  Status AllocDevice(uint32_t group, const std::string& id, const Device** device, bool is_pinned = false);
  // False when there is no device of that id. `self` is the holder of the calling thread, which is not asked to let go.
  bool RemoveDevice(uint32_t group, const std::string& id, const Holder* self = nullptr);
  // Removes one pin from the device whose cells begin there. False when it has no pin.
  bool ReleaseDevice(uint32_t group, uint32_t first_cell);
  std::vector<Devices::Entry> LivingDevices(uint32_t group);

  // Call AddHolder before the thread gets its first device, and RemoveHolder when it no longer writes to any device.
  void AddHolder(Holder* holder);
  void RemoveHolder(Holder* holder);
  // Whether there are leaving devices that the holder has not let go of. Cheap. Relaxed: publishes nothing; LeavingOf
  // takes the lock.
  bool HasLeaving(const Holder& holder) const { return holder.seen.load(std::memory_order_relaxed) != leaving_.epoch(); }
  // Returns those devices. When the holder has let go of all of them, it stores `*epoch` in `seen`, with release.
  std::vector<Removed> LeavingOf(const Holder& holder, uint64_t* epoch);
  // The first cell of the group's rest: it counts what is added through accessors of devices that were let go of.
  uint32_t RestOf(uint32_t group);

  // A descriptor of KVM to sample, see KvmWatches. `vcpu`: the device that gets the values, which is made if it does
  // not exist; without it, the VM's metrics get them. `fd`: a VM, a vCPU or a statistics descriptor, which stays the
  // caller's; -1: what is sampled there now is sampled once more, and no longer after that.
  struct KvmTarget {
    bool is_vcpu = false;
    std::string vcpu;
    int fd = -1;
  };
  // Checks all descriptors before anything changes. `*failed` is the index of the target that caused a failure.
  // kNoStatistics: this kernel has no statistics. kInvalid: the schema has no metrics for such a target, or the store
  // is closed. Otherwise as KvmWatches::Prepare and AllocDevice.
  Status SampleKvm(const std::vector<KvmTarget>& targets, size_t* failed);
  // The targets of SampleKvm that cannot be read any more, each once.
  struct KvmLoss {
    bool is_vcpu;
    std::string vcpu;
    int error;
  };
  std::vector<KvmLoss> TakeKvmLosses();

  // All totals. The schema's own cells come first. For each group, the sums over its removed devices follow (inc
  // metrics only, 0 for the others), and then the totals of each living device, in the order of `ids`.
  struct Snapshot {
    std::vector<uint64_t> totals;
    std::vector<std::vector<std::string>> ids;
    uint64_t device_changes = 0;
  };
  Snapshot TakeSnapshot();
  // Writes the totals as they are now, in the order of an earlier snapshot, which had `count` of them. False, and
  // nothing is written, if devices were made or removed since: its `device_changes` says that.
  bool TakeTotals(uint64_t device_changes, uint64_t* totals, size_t count);

  // Map the row of `shard` in `chunk`, or the header, once more; see Region::MapRow.
  Status MapRow(uint32_t chunk, uint32_t shard, void** address);
  Status MapHeader(void** address);

  Status StartPeriodicFlush(uint64_t interval_ms) { return periodic_.Start(interval_ms); }
  void StopPeriodicFlush() { periodic_.Stop(); }
  Status CaptureSignals(const CaptureOptions& options = {});

  // Does what captured signals and a region file need before each flush, and then calls Flusher::Flush. When the line
  // is out, retires leaving devices, unless another thread has the store's lock.
  FlushResult Flush(Status* status, int patience_ms = 0);

  // The captured signals that another handler has displaced. Counts each of them once in the metric for errors.
  SignalSet CheckDisplaced();
  // Puts our handlers above the handlers that displaced them. Ours call theirs.
  void RetakeSignals(SignalSet signals);

  // What went wrong, for the thread that opened the store.
  Troubles& troubles() { return troubles_; }

  Profiler& profiler() { return profiler_; }
  Cells& cells() { return cells_; }
  Flusher& flusher() { return flusher_; }
  const DeviceLists& device_lists() const { return devices_.lists(); }
  const StoreSpec& spec() const { return spec_; }
  // For native code of other addons.
  const vmm_metrics_abi& abi() const { return abi_; }

 private:
  // How long code in exit() waits for a lock.
  static constexpr int kExitLockMs = 250;

  explicit Store(StoreSpec&& spec);
  ~Store();
  Status Create(OpenConflict* conflict);
  // Whether all parts of the spec fit together.
  bool IsSpecSound() const;
  // Writes the ending into the region, unless another thread has ended the store in another way before.
  void SetEnding(const Ending& ending);
  // Captures signals again after a survived crash, and counts displaced handlers and lost memory.
  void BeforeFlush();
  void Close(const Ending& ending, bool awaits_exit);
  // Under the lock. Makes a new device.
  Status MakeDevice(uint32_t group, const std::string& id, const Device** device);
  Status AllocDeviceLocked(uint32_t group, const std::string& id, const Device** device);
  // Under the lock. Samples the device once more, and no longer after that.
  void EndKvm(uint32_t group, const Device& device);
  // Tells the listener if something cannot be sampled any more.
  void NoteKvmLosses();
  // Under the lock: the totals of a snapshot, and how many there are.
  size_t TotalsCount() const;
  void WriteTotals(uint64_t* to);
  // Under the lock. Releases the devices and descriptors that no thread samples any more.
  void FreeKvm();
  // Under the lock. Retires leaving devices, if that is possible without waiting. False: nothing more can be retired
  // now.
  bool RetireLeaving();
  // How many devices of the largest group are retired at once.
  size_t RetiredAtOnce() const;
  // Under the lock, where no thread walks the lists of devices.
  void RetireQuietly(size_t most, size_t* retired);

  const StoreSpec spec_;
  const ProgramView program_;
  LineTemplate template_;
  const vmm_metrics_abi abi_;
  std::mutex mutex_;  // the store's lock: shards, devices, rows, and the length of lines
  Cells cells_;
  Directory directory_;
  Devices devices_;
  KvmSamples kvm_samples_;
  KvmWatches kvm_;
  std::atomic<uint32_t> kvm_losses_{0};  // KvmSamples::losses() when the listener was told last
  Flusher flusher_;
  Troubles troubles_;
  Periodic periodic_;
  Profiler profiler_;
  Leaving leaving_;
  Retirement retirement_;
  CaptureTarget capture_target_;
  uint64_t line_bytes_ = 0;
  uint64_t profiles_ended_ = 0;
  int64_t next_retirement_ms_ = 0;  // by MonotonicMs()
  int attachments_ = 0;             // under the registry's lock
  std::atomic<int> references_{1};
  std::atomic<bool> closed_{false};
  std::atomic<bool> is_captured_{false};
  std::atomic<bool> has_inherited_{false};
  std::atomic<bool> has_panicked_{false};
  std::atomic<int32_t> exit_code_{kExitCodeUnknown};
  FirstEnding ending_;
  std::atomic<SignalSet> displaced_{0};
  std::atomic<int64_t> looked_ms_{0};  // when BeforeFlush looked for displaced signals, by MonotonicMs()
  bool is_guarded_ = false;
  Store* next_at_exit_ = nullptr;  // used by EndAllWithProcess only
};

}  // namespace vmm

// A Profile is one run of the profiler: one thread takes a row of values at each tick of a fixed grid, another one
// writes the rows out as text, tab separated.
//
//   made ──► starting ──► sampling ──► stopping ──► collected
//
// The text: `Time (ns)` and the names; then a row a sample, its time counted from the start and taken just before its
// values.
//
// Thread-safety:       Stop by any thread, by several at once, and again; Start makes the object.
// Async-signal-safety: LastSamples only. Both threads have the asynchronous signals blocked, so that the host's
// handlers
//                      never run on them.
// Units:               nanoseconds on CLOCK_MONOTONIC, unless the name says otherwise.
// Lifetime:            the cells outlive Stop. The writing thread owns the object too: an output that hangs for ever
//                      hangs that thread alone.

#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fork.h"
#include "base/histogram.h"
#include "base/raw_writer.h"
#include "base/status.h"
#include "flush/sink.h"
#include "profile/sample_ring.h"
#include "region/cells.h"

namespace vmm {

struct ProfileSpec {
  // One column each: a cell, or the first cell of a latency metric for its minimum.
  std::vector<uint32_t> cells;
  uint64_t interval_ns = 0;
  std::string header;  // with its newline
  // When set, there is a first line with the start time, the interval and, for each column, what is said here; and a
  // last line with what ProfileResult has.
  bool annotate = false;
  std::string annotation;
  std::string path;  // emptied, or made; when it is empty, `descriptor`, which is duplicated and not emptied
  int descriptor = -1;
  Sink::Position lines = {};  // where lines go: that is never emptied
};

struct ProfileResult {
  Status status;  // of writing; not ok: rows are lost
  uint64_t samples = 0;
  uint64_t missed_ticks = 0;  // ticks that had passed when their turn came
  uint64_t back_offs = 0;     // how often all rows were full, and the sampling paused for kBackOffTicks
  // How long after its tick a sample was taken; the last sample has no tick.
  uint64_t late_ns_median = 0;
  uint64_t late_ns_p99 = 0;
  uint64_t late_ns_max = 0;
};

class Profile {
 public:
  // How the sampling thread waits. A sleep ends some 50 us late and costs some 30 us of processor time, on a virtual
  // machine at least. So from kSleepOnly on it sleeps all the way; from kSleepFrom on it sleeps, and spins for the last
  // kSpinLast; below, it only spins.
  static constexpr uint64_t kSleepOnlyNs = 500'000;
  static constexpr uint64_t kSleepFromNs = 50'000;
  static constexpr uint64_t kSpinLastNs = 20'000;
  static constexpr uint64_t kBackOffTicks = 100;
  // Rows wait no longer than this to be written.
  static constexpr uint64_t kWriteEveryNs = 200'000'000;
  // Stop waits in steps, so that the time in which the process itself was stopped counts for one. In the last ones it
  // has given up an output that does not take its rows, and waits for a write that does not return.
  static constexpr int kStopStepMs = 50;
  static constexpr int kStopSteps = 16;
  static constexpr int kGivingUpSteps = 2;

  // kOpen, kWrongFile: the output cannot be had; kMemory, kThread: no memory, no thread. Nothing runs then, and the
  // output is untouched.
  static Status Start(const Cells& cells, ProfileSpec&& spec, std::shared_ptr<Profile>* profile);

  Profile(const Cells& cells, ProfileSpec&& spec);
  ~Profile() { CloseOutput(); }  // open still when a crash handler had it, and the process lives on
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  // The first half of Stop, which does not wait.
  void AskToStop();
  // Takes one last sample, writes out what is left, and closes the output; within a second, whatever the output does.
  // In a forked child it does nothing.
  ProfileResult Stop();

  // The samples so far, from the crash handler of a dying process. It waits for the output
  // until the deadline, by MonotonicMs().
  void LastSamples(int64_t deadline_ms);

  // After Stop, once no crash handler can come any more: gives back the rows and the buffer, which only a running
  // profile needs.
  void FreeRows();

  // Whether one of `count` cells from `first` on has a column.
  bool Samples(uint32_t first, uint32_t count) const;

  // Whether it runs in this process, and not in the one that this was forked from. Async-signal-safe.
  bool is_own() const { return ForkGeneration::IsOwn(process_); }

 private:
  // kMade: not before the output is emptied, and that not before there are both threads.
  enum State : uint32_t { kMade, kStarting, kSampling, kStopping, kCollected };
  // Who has the output. kTaken: the process is dying, and every row that may still go out is out. kClosed: nobody.
  enum Phase : uint32_t { kIdle, kSending, kTaken, kClosed };
  enum class Progress { kSome, kAllOut, kBlocked, kFailed };

  Status Open();
  // Of threads that were not let go yet.
  void Cancel(bool is_writing);
  void Collect();
  void NoteStart();
  // Returns the time of the row, which is later than `now_ns` when it had to be read again.
  uint64_t TakeSample(uint64_t* row, uint64_t now_ns);
  // Waits until `due_ns`, or until it is to stop. Returns the time.
  uint64_t WaitUntil(uint64_t due_ns);
  void RequestStop();

  void Write();
  // Keeps the writing thread off the processor that the sampling thread spins on.
  void AvoidSpinningCpu();
  // One buffer of rows out, the phase taken for it.
  Progress WriteSome(Status* status);
  // The same for who has the phase. No row from `end_row` on.
  Progress SendSome(uint64_t end_row, Status* status);
  // Whether a crash handler has the output, or is waiting for it. No longer when the process lives on all the same.
  bool YieldToCrashHandler();
  void CloseOutput();
  // Puts the next text into the empty buffer; false when there is none.
  bool Format(uint64_t end_row);
  void FormatOpening(RawWriter& out) const;
  void FormatClosing(RawWriter& out) const;
  ProfileResult Figures() const;

  bool IsStopping() const { return state_.load(std::memory_order_acquire) >= kStopping; }

  const Cells& cells_;
  const ProfileSpec spec_;
  const uint32_t process_ = ForkGeneration::Own();
  SampleRing ring_;

  // The sampling thread's own, until kCollected.
  uint64_t origin_ns_ = 0;
  char started_at_[40] = {};
  uint64_t missed_ticks_ = 0;
  uint64_t back_offs_ = 0;
  Histogram lateness_;

  // Release on each step: kSampling publishes origin_ns_ and started_at_, kCollected all of the sampling thread's own.
  // Both threads sleep on it.
  std::atomic<uint32_t> state_{kMade};
  std::atomic<int64_t> asked_ms_{0};  // when it was asked to stop first; 0: not yet. Published by kStopping
  // Relaxed: publishes nothing. The writing thread ends when the output does not take its rows.
  std::atomic<bool> has_given_up_{false};

  // Where a spinning sampling thread runs; -1: it sleeps, or has not said yet. Relaxed: a hint that publishes nothing.
  std::atomic<int> spinning_on_{-1};
  std::atomic<pid_t> sampling_thread_{0};  // relaxed, as above
  int avoided_cpu_ = -1;                   // the writing thread's own, as is

  // Release on leaving kSending: publishes what follows to who has the output next.
  std::atomic<uint32_t> phase_{kIdle};
  // When a crash handler came for the output, and then when it was done; 0: none did. Relaxed: what it did is published
  // by kTaken.
  std::atomic<int64_t> crash_ms_{0};
  Sink sink_;
  std::unique_ptr<char[]> buffer_;
  size_t buffer_bytes_ = 0;
  size_t formatted_bytes_ = 0;
  size_t sent_bytes_ = 0;
  bool has_opening_ = false;
  bool has_closing_ = false;

  std::mutex stop_mutex_;  // what Stop alone uses
  std::thread collector_;
  bool stopped_ = false;
  ProfileResult result_;
  std::mutex written_mutex_;
  std::condition_variable written_changed_;
  bool written_ = false;
  Status outcome_;
};

}  // namespace vmm

// A Sampler is the work of a profile's sampling thread: it puts one row of values into the ring at each tick of a fixed
// grid, until it is asked to stop.
//
//   made ──► starting ──► sampling ──► stopping ──► collected
//
// A row is the time since the start, taken just before the values, and then the values.
//
// Thread-safety:       AwaitStart, Run and Finish are called in this order by the sampling thread, and by no other.
//                      RequestStop, state and SleepWhile are called by any thread.
// Async-signal-safety: none.
// Memory ordering:     each step of the state is a release, and state() acquires. The step to kCollected publishes all
//                      that the sampling thread wrote.
// Lifetime:            the cells, the columns and the ring outlive the sampling thread.
// Units:               nanoseconds on CLOCK_MONOTONIC, unless the name says otherwise.

#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/histogram.h"
#include "kvm/columns.h"
#include "profile/sample_ring.h"
#include "profile/spinning_cpu.h"
#include "region/cells.h"

namespace vmm {

struct SampleFigures {
  uint64_t samples = 0;
  uint64_t missed_ticks = 0;  // ticks that had passed before the thread got to them
  uint64_t back_offs = 0;     // how often the ring was full, so that the sampling paused for kBackOffTicks
  // How long after its tick a sample was taken. The last sample has no tick and does not count.
  uint64_t late_ns_median = 0;
  uint64_t late_ns_p99 = 0;
  uint64_t late_ns_max = 0;
};

class Sampler {
 public:
  // How the thread waits for a tick. A sleep ends about 50 us late and costs about 30 us of processor time, at least on
  // a virtual machine. So the thread sleeps through an interval of kSleepOnlyNs or more. In an interval of kSleepFromNs
  // or more, it sleeps first and spins for the last kSpinLastNs. In a shorter interval, it only spins.
  static constexpr uint64_t kSleepOnlyNs = 500'000;
  static constexpr uint64_t kSleepFromNs = 50'000;
  static constexpr uint64_t kSpinLastNs = 20'000;
  static constexpr uint64_t kBackOffTicks = 100;

  enum State : uint32_t { kMade, kStarting, kSampling, kStopping, kCollected };

  // `columns` has one entry per column: a cell, or the first cell of a latency metric for its minimum. Each row samples
  // what `kvm` has for these columns. Null: nothing.
  Sampler(const Cells& cells, const std::vector<uint32_t>& columns, uint64_t interval_ns, SampleRing& ring, const KvmSamples* kvm)
      : cells_(cells), columns_(columns), interval_ns_(interval_ns), ring_(ring), kvm_(kvm, cells, columns) {}
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  // Start makes AwaitStart return true; Cancel makes it return false. Neither waits.
  void Start();
  void Cancel();
  // Lets Run return soon. Harmless in every state.
  void RequestStop();

  State state() const { return static_cast<State>(state_.load(std::memory_order_acquire)); }
  // Sleeps while the state is `state`, until `until_ns` at most. Takes no lock.
  void SleepWhile(State state, uint64_t until_ns) const;

  // False: the profile was cancelled.
  bool AwaitStart();
  // Takes the samples until RequestStop, and then one last sample.
  void Run();
  void Finish() { SetState(kCollected); }

  // For the sampling thread after AwaitStart, and for every thread once the state is kCollected.
  int64_t start_realtime_ns() const { return start_realtime_ns_; }
  SampleFigures Figures() const;

  // Keeps the calling thread, which writes the rows out, off the processor that the sampling thread spins on.
  void AvoidSpinningCpu() { spinning_cpu_.Avoid(); }

 private:
  // Fills the row and publishes it. Returns the time of the row, which is later than `now_ns` when the row was read
  // again.
  uint64_t TakeSample(uint64_t* row, uint64_t now_ns);
  // Waits until `due_ns`, or until RequestStop. Returns the time.
  uint64_t WaitUntil(uint64_t due_ns);
  void SetState(State state);
  // Changes the state from `from` to `to`. Does nothing in any state other than `from`.
  void Step(State from, State to);

  const Cells& cells_;
  const std::vector<uint32_t>& columns_;
  const uint64_t interval_ns_;
  SampleRing& ring_;
  KvmColumns kvm_;

  // The sampling thread's own, until kCollected.
  uint64_t origin_ns_ = 0;
  int64_t start_realtime_ns_ = 0;
  uint64_t missed_ticks_ = 0;
  uint64_t back_offs_ = 0;
  Histogram lateness_;

  std::atomic<uint32_t> state_{kMade};
  SpinningCpu spinning_cpu_;
};

}  // namespace vmm

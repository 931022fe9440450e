// A Profile is one run of the profiler: a sampling thread that fills a ring with rows, and a writing thread that writes
// the rows out as tab-separated text.
//
//   Sampler ──► SampleRing ──► ProfileOutput
//
// The text is a line with `Time (ns)` and the names of the columns, and then one line a row. Annotated text has one
// more line at the beginning and at the end, see ProfileSpec.
//
// Thread-safety:       Start makes the object. Any thread may call the rest at any time, except FreeRows. Stop may be
//                      called several times, also by several threads at once.
// Async-signal-safety: only is_own is safe. A crash handler finds the ProfileOutput through LastSamples. Both threads
//                      block the signals that others send, so that no handler of the host runs on them.
// Units:               nanoseconds on CLOCK_MONOTONIC, unless the name says otherwise.
// Lifetime:            the cells outlive Stop. The writing thread shares the object, so an output that hangs for ever
//                      hangs that thread alone.

#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "flush/sink.h"
#include "profile/profile_output.h"
#include "profile/sample_ring.h"
#include "profile/sampler.h"
#include "region/cells.h"

namespace vmm {

struct ProfileSpec {
  // One entry per column: a cell. For the minimum of a latency metric: the first cell of the metric.
  std::vector<uint32_t> cells;
  uint64_t interval_ns = 0;
  std::string header;  // the names of the columns, with a newline
  // Whether the text begins with a line that contains the time of the start, the interval and `annotation`, and ends
  // with a line that contains the figures of the samples.
  bool annotate = false;
  std::string annotation;
  // The output: a file that is made or emptied. When the path is empty: a descriptor, which is duplicated; the text
  // goes to its current position.
  std::string path;
  int descriptor = -1;
  Sink::Position lines = {};  // where the lines of the metrics go; a profile refuses to empty that file
};

struct ProfileResult : SampleFigures {
  Status status;  // of the writing; when it is not ok, rows are lost
};

class Profile {
 public:
  // The writing thread looks for new rows at least this often.
  static constexpr uint64_t kWriteEveryNs = 200'000'000;
  // Stop waits at most kStopSteps steps of kStopStepMs. It counts steps, so a pause in which the process itself was
  // stopped counts as one step. In the last kGivingUpSteps, nothing waits for a reader any more: Stop waits only for a
  // write that has not returned.
  static constexpr int kStopStepMs = 50;
  static constexpr int kStopSteps = 16;
  static constexpr int kGivingUpSteps = 2;

  // `kvm` may be null, see Sampler. kOpen, kWrongFile: the output cannot be used. kMemory, kThread: there is no memory
  // or no thread. kInvalid: a column is no cell. After a failure nothing runs, and the output is untouched.
  static Status Start(const Cells& cells, const KvmSamples* kvm, ProfileSpec&& spec, std::shared_ptr<Profile>* profile);

  Profile(const Cells& cells, const KvmSamples* kvm, ProfileSpec&& spec);
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  // The first half of Stop, which does not wait.
  void AskToStop();
  // Takes one last sample, writes out the rows that are left, and closes the output. Returns within a second, whatever
  // the output does. In a forked child it does nothing.
  ProfileResult Stop();
  // The same for exit(), which a signal handler may call. If another call of Stop is under way, this call waits at most
  // `patience_ms` for that call to end. The handler may have interrupted that very call, which then never ends.
  void StopAtExit(int patience_ms);

  // Frees the rows and the buffer, which only a running profile needs. Call it after Stop, once no crash handler uses
  // the output any more.
  void FreeRows();

  // Whether one of `count` cells from `first` on has a column.
  bool Samples(uint32_t first, uint32_t count) const;

  // Whether this process started the profile. False in a forked child if its parent started the profile.
  bool is_own() const { return output_.is_own(); }

  // For LastSamples.
  ProfileOutput& output() { return output_; }

 private:
  static constexpr size_t kCommentBytesMax = 512;  // of a line with figures

  Status Open();
  // Ends the threads before Sampler::Start has let them run.
  void Cancel(bool has_writing_thread);
  // The body of the sampling thread.
  void Collect();
  // The body of the writing thread.
  void Write();
  Status WriteUntilCollected();
  // Waits for both threads. The caller has stop_mutex_.
  ProfileResult StopLocked();
  // The text before the first row, and after the last one. Both return its length, and allocate nothing: a thread of
  // ours must not end the process when there is no memory.
  size_t FormatOpening();
  size_t FormatClosing();
  size_t opening_bytes_max() const { return kCommentBytesMax + spec_.annotation.size() + spec_.header.size(); }

  const Cells& cells_;
  const ProfileSpec spec_;
  SampleRing ring_;
  Sampler sampler_;
  ProfileOutput output_;
  std::unique_ptr<char[]> opening_;
  char closing_[kCommentBytesMax];

  std::atomic<int64_t> asked_ms_{0};  // when a stop was asked for first; 0: not yet. Relaxed: it publishes nothing
  // Relaxed: it publishes nothing. Once this is true, the writing thread ends if the output does not take the rows.
  std::atomic<bool> has_given_up_{false};

  std::mutex stop_mutex_;  // guards the next three
  std::thread collector_;
  bool stopped_ = false;
  ProfileResult result_;

  std::mutex written_mutex_;  // guards the next three
  std::condition_variable written_changed_;
  bool written_ = false;
  Status outcome_;
};

}  // namespace vmm

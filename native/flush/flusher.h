// A Flusher lets every thread flush: flushes take turns, and may wait for a full pipe. The lines are its LineSender's.
//
// Thread-safety:       any thread; flushes wait for one another.
// Async-signal-safety: none. A crash handler uses sender() alone, which has no lock.
// Lifetime:            the cells, the template and the devices outlive it.
// Units:               milliseconds.

#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "flush/line_sender.h"

namespace vmm {

enum class InitResult { kDone, kAlready, kFailed };
enum class FlushResult { kNotInitialized, kOut, kFailed };

class Flusher {
 public:
  // `missed_cell` is raised by each flush whose line did not get out whole; kNoCell: nothing is.
  Flusher(Cells& cells, const LineTemplate& line_template, const DeviceLists& devices, uint32_t missed_cell)
      : sender_(cells, line_template, devices, missed_cell) {}
  Flusher(const Flusher&) = delete;
  Flusher& operator=(const Flusher&) = delete;

  // Opens the sink, once; after a failure it may be called again. `path` null: `descriptor`. On success it takes over
  // the last lines of earlier lives from `recoveries`; those go out before any line of this flusher.
  InitResult Init(const char* path, int descriptor, Status* status, Recoveries* recoveries = nullptr);
  // Sends what is left of those lines, and no line of this flusher.
  Status Recover();
  // Closes the sink, once nobody flushes and no crash handler knows of this any more.
  void Close();

  // Whether Init succeeded, in any thread. Relaxed: it publishes nothing to the caller.
  bool is_initialized() const { return sender_.is_open(); }
  // Where lines go, as Sink::position tells it. All zeros without a sink.
  Sink::Position sink_position() const;

  // Makes room for lines of up to `line_bytes`. Under the store's lock.
  Status Fit(uint64_t line_bytes) { return sender_.Fit(line_bytes); }

  // Writes one line. Waits up to `patience_ms` for a full pipe. kFailed: `*status` says why, nothing is lost, and the
  // next line has the deltas.
  FlushResult Flush(Status* status, int patience_ms = 0);

  // For exit(), which a signal handler may call: writes a line if it would say more than the last one did. Waits up to
  // `patience_ms` for the lock, but not at all when the signal has interrupted a flush on this very thread. Without the
  // lock, the line goes out as the last line of a dying process does.
  void FlushAtExit(int patience_ms);

  // Whether a flush would write more than the last one did, or the last line has a tail yet to go.
  bool HasUnflushed() const;

  // Does `work` where nobody walks the devices' lists or reads a bank: no flush is under way, and the crash handler of
  // another thread waits, so `work` must be short. False: somebody is busy there, and nothing was done; it never waits.
  bool TryQuiet(void (*work)(void* context), void* context);

  LineSender& sender() { return sender_; }

 private:
  // The functions below are called with the lock.
  FlushResult FlushLocked(Status* status, int patience_ms);
  Status RecoverLocked();
  // For another store that waits for its turn at the same sink: sends the rest of a line, unless a flush is under way.
  static void FinishHeld(void* self);

  mutable pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  std::atomic<uintptr_t> flushing_thread_{0};  // see ThreadMark
  LineSender sender_;
};

}  // namespace vmm

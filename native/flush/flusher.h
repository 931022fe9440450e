// A Flusher lets every thread flush. Flushes take turns, and may wait for room in a full pipe. The LineSender of the
// Flusher builds and sends the lines.
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
  // `missed_cell` counts the flushes whose line did not get out whole. kNoCell: nothing counts them. `kvm` is sampled
  // just before each line is built. Null: there is nothing to sample.
  Flusher(Cells& cells, const LineTemplate& line_template, const DeviceLists& devices, uint32_t missed_cell,
          const KvmSamples* kvm = nullptr)
      : sender_(cells, line_template, devices, missed_cell, kvm) {}
  Flusher(const Flusher&) = delete;
  Flusher& operator=(const Flusher&) = delete;

  // Opens `path` as the sink, or `descriptor` if `path` is null. kAlready: there is a sink. After a failure it may be
  // called again. On success it takes over the last lines of earlier lives from `recoveries`; those go out before any
  // line of this flusher.
  InitResult Init(const char* path, int descriptor, Status* status, Recoveries* recoveries = nullptr);
  // Sends what is left of the last lines of earlier lives, and no new line. Does nothing if nothing is left.
  Status Recover();
  // Closes the sink. Call it when no thread flushes any more, and no crash handler can find this object.
  void Close();

  // Whether Init succeeded, in any thread. Relaxed: it publishes nothing to the caller.
  bool is_initialized() const { return sender_.is_open(); }
  // Where lines go, see Sink::position. All zeros without a sink.
  Sink::Position sink_position() const;

  // Makes room for lines of up to `line_bytes`. Under the store's lock.
  Status Fit(uint64_t line_bytes) { return sender_.Fit(line_bytes); }

  // Writes one line. Waits until other flushes have ended. Then waits up to `patience_ms` for room in a full pipe, or
  // for the end of another store's turn. kFailed: `*status` says why. Nothing is lost: a later flush sends the deltas.
  FlushResult Flush(Status* status, int patience_ms = 0);

  // For exit(), which a signal handler may call. Writes a line if HasUnflushed(), and otherwise does what Recover does.
  // Waits up to `patience_ms` for the lock, and then up to `patience_ms` for room in a full pipe. If the signal has
  // interrupted a flush on this very thread, it does not wait for the lock. Without the lock, it sends a line by
  // LineSender::LastLine, and no line follows that one.
  void FlushAtExit(int patience_ms);

  // Whether something is left to send: changes that a new line would show, or the rest of the last line.
  bool HasUnflushed() const;

  // Calls `work` while no thread walks the lists of devices or reads a bank: no flush is under way, and a crash handler
  // on another thread waits until `work` returns, so `work` must be short. False: a flush or a crash handler is at
  // work, or a crash handler waits, and nothing was done. Never waits.
  bool TryQuiet(void (*work)(void* context), void* context);

  LineSender& sender() { return sender_; }

 private:
  // The caller of FlushLocked or RecoverLocked holds the lock.
  FlushResult FlushLocked(Status* status, int patience_ms);
  Status RecoverLocked();
  // Called by another store that waits for its turn at the same sink: sends the rest of a line, unless a flush is under
  // way. Never waits for the lock.
  static void FinishHeld(void* self);

  mutable pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  std::atomic<uintptr_t> flushing_thread_{0};  // see ThreadMark
  LineSender sender_;
};

}  // namespace vmm

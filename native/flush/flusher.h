// A Flusher runs the program into a line, hands the line whole to the sink, and only then commits it.
//
//   idle ──► building ──► sending ──► idle
//               │            │
//               ▼            ▼
//             taken        taken
//
// A crash handler takes the phase of a line that is being built, and drops that line. It takes the phase of a line that
// is being sent only on the very thread that sends, after a fault there; then it asks the sink how much is out.
//
// A line that a pipe took only in part is held; its tail goes first at the next flush, and then it is committed.
//
// Thread-safety:       any thread; flushes wait for one another.
// Async-signal-safety: LastLine only. It takes no lock: it takes the phase from whoever has it, or waits, bounded, for
// a
//                      line that is being sent.
// Lifetime:            the cells, the template and the devices outlive it.

#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "flush/device_list.h"
#include "flush/line.h"
#include "flush/line_template.h"
#include "flush/recovery.h"
#include "flush/sink.h"

namespace vmm {

enum class InitResult { kDone, kAlready, kFailed };
enum class FlushResult { kNotInitialized, kOut, kFailed };

class Flusher {
 public:
  static constexpr uint32_t kNoCell = ~0u;

  // `missed_cell` is raised by each flush whose whole line did not get out; kNoCell for none.
  Flusher(Cells& cells, const LineTemplate& line_template, const DeviceLists& devices, uint32_t missed_cell);
  ~Flusher();
  Flusher(const Flusher&) = delete;
  Flusher& operator=(const Flusher&) = delete;

  // Sets the sink, once; after a failure again. `path` null: `descriptor`. When it is set, the last lines of earlier
  // lives are taken over from `recoveries`, and go out before any line of this.
  InitResult Init(const char* path, int descriptor, Status* status, Recoveries* recoveries = nullptr);
  // Sends what is left of those, and no line of this.
  Status Recover();

  // Whether Init succeeded, in any thread. Relaxed: it publishes nothing to the caller.
  bool is_initialized() const { return initialized_.load(std::memory_order_relaxed); }

  // Where lines go, as Sink::position tells it. All zeros without a sink.
  Sink::Position sink_position() const;

  // Makes room for lines of up to `line_bytes`. Under the store's lock.
  Status Fit(uint64_t line_bytes);

  // One line. kFailed: `*status` says why, nothing is lost, and the next line carries it.
  // With patience, a pipe that is full is waited for so long: for the last line of an orderly end.
  FlushResult Flush(Status* status, int patience_ms = 0);

  // A line if it would say more than the last one did, for exit(), which a signal handler may call: the lock is waited
  // for so long at most, and not at all when this very thread was interrupted with it; then the line goes out as the
  // last one of a dying process does.
  void FlushAtExit(int patience_ms);

  // Closes the sink, once nobody flushes and no crash handler knows of this any more.
  void Close();

  // Does `work` where nobody walks the devices' lists or reads a bank: no flush goes on, and the crash handler of
  // another thread waits. So it must be short. False: somebody is at it, and nothing was done; it never waits for them.
  bool TryQuiet(void (*work)(void* context), void* context);

  // Whether a flush would put out more than there is: something came since the last line, or the last line has a tail
  // yet to go.
  bool HasUnflushed() const;

  // Whether another store has a line half sent to the same sink: the last line of that one goes first. In a handler
  // too.
  bool WaitsForTurn() const { return initialized_.load(std::memory_order_acquire) && sink_.is_others_turn(); }

  // The last line of a dying process, from its crash handler. Given up at the deadline, by MonotonicMs(). True when it
  // is out; when it is not, that is missed like any other.
  bool LastLine(int64_t deadline_ms);

  // The process survived its last line: lets flushes go on.
  void Revive();

 private:
  enum Phase : uint32_t { kIdle, kBuilding, kSending, kTaken };

  // Does `work` with every signal blocked and the phase at kSending, in which alone the sink and a held line are
  // touched: a crash handler on another thread waits for its end. kCrashing when one has the phase already. `from` is
  // the phase to leave.
  template <typename Work>
  Status InSending(Phase from, Work work);
  // Looks whether the sink is still the one that the path names, and sends what goes before the next line: the tail of
  // a held one, then recoveries.
  Status Resume();
  // For another store that waits for its turn at the same sink: sends the tail of the held line, unless a flush is
  // under way.
  static void FinishHeld(void* self);
  // Sends what is left of a line, and commits it when all is out; what is out only in part is held.
  Status SendRest(Line& line);
  // Null: no line has a tail to send, and none is on its way.
  void Hold(Line* line);
  bool HasUnflushedLocked() const;
  Line* HeldLine() const { return held_.load(std::memory_order_relaxed); }  // see Hold
  FlushResult FlushWithin(Status* status, int patience_ms);
  Status RecoverLocked();
  // Sends what is held, then a new line.
  Status FlushOnce();
  // Sends what is held, and no new line.
  Status FlushHeld();
  bool SendLastLine(int64_t deadline_ms);
  // Calls `send` until all is out, at most until the deadline. For the last line.
  template <typename Send>
  bool SendBy(int64_t deadline_ms, Send send);
  // Takes the phase for good. False when the deadline has passed.
  bool TakePhase(int64_t deadline_ms);
  // This thread had a fault between the first byte and the commit of a line: what is out of it counts.
  void SettleInterrupted();

  Cells& cells_;
  const LineTemplate& template_;
  const DeviceLists& devices_;
  const uint32_t missed_cell_;
  mutable pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  // Release on leaving kSending: publishes the line and the sink to a crash handler on another thread, which acquires.
  std::atomic<uint32_t> phase_{kIdle};
  std::atomic<bool> initialized_{false};
  // The thread that is flushing, and the one that has the phase at kSending; 0: none. Relaxed: a thread looks for
  // itself alone.
  std::atomic<uintptr_t> flusher_{0};
  std::atomic<uintptr_t> sender_{0};
  // The line that sender_ is handing to the sink. Relaxed: its handler on the same thread reads it, and takes it away.
  std::atomic<Line*> sending_{nullptr};
  Sink sink_;
  Line line_;
  // The line that has a tail which the sink has not taken yet: `line_`, or the last one of a process that survived it.
  std::atomic<Line*> held_{nullptr};
  uint64_t lines_built_ = 0;
  Recoveries recoveries_;
  Line last_line_;
};

}  // namespace vmm

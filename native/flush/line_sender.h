// A LineSender builds a line, hands the line whole to the sink, and only then commits it. A crash handler may take over
// at any moment, for the last line of a dying process.
//
//   idle ──► building ──► sending ──► idle
//               │            │
//               ▼            ▼
//             taken        taken
//
// A crash handler takes the phase of a line that is being built, and drops that line. While a line is being sent, it
// waits. Only after a fault on the very thread that sends does it take the phase there too; then it asks the sink how
// much of the line is out.
//
// A line of which a pipe took only a part is held: its tail goes first at the next flush, and then the line is
// committed. The last lines of earlier lives of the process (see Recoveries) go before any line of its own.
//
// Thread-safety:       one thread at a time, which is the one that holds the flusher's lock. Any thread may call
//                      is_open and WaitsForTurn.
// Async-signal-safety: LastLine and WaitsForTurn are safe, at any moment; the others are not.
// Memory ordering:     each change of the phase is an acquire and a release: the line, the sink and what is held go
//                      from one owner of the phase to the next one, which may be a crash handler on another thread.
// Lifetime:            the cells, the template and the devices outlive it.
// Units:               milliseconds on CLOCK_MONOTONIC.

#pragma once

#include <atomic>
#include <cstdint>

#include "flush/device_list.h"
#include "flush/line.h"
#include "flush/line_finishers.h"
#include "flush/line_template.h"
#include "flush/recovery.h"
#include "flush/sink.h"

namespace vmm {

class LineSender {
 public:
  // `missed_cell` is raised for each line that did not get out whole when it was due; kNoCell: nothing is.
  LineSender(Cells& cells, const LineTemplate& line_template, const DeviceLists& devices, uint32_t missed_cell);
  ~LineSender() { sink_.Close(); }
  LineSender(const LineSender&) = delete;
  LineSender& operator=(const LineSender&) = delete;

  // Opens the sink; `path` null: `descriptor`. Then takes over what `recoveries` has, which may be null.
  // `finish(flusher)` is what another store calls that waits for the rest of a line of this one.
  Status Open(const char* path, int descriptor, FinishLine finish, void* flusher, Recoveries* recoveries);
  // Whether Open succeeded. Relaxed: it publishes nothing to the caller.
  bool is_open() const { return is_open_.load(std::memory_order_relaxed); }
  // Once no crash handler knows of this any more.
  void Close();

  // Makes room for lines of up to `line_bytes`. Under the store's lock.
  Status Fit(uint64_t line_bytes);

  // Sends what is held, then a new line. Not ok: the new line, if it was built, counts for nothing or is held.
  Status SendNew();
  // Sends what is held, and no new line.
  Status SendHeld();
  // Waits up to `deadline_ms` for a full pipe, or for another store's turn, and sends what is held and one new line.
  Status SendNewBy(int64_t deadline_ms);

  // Whether a part of a line is out, and the rest is not.
  bool HasTail() const { return HeldLine() != nullptr || recoveries_.is_partly_sent(); }
  // Whether last lines of earlier lives are still to be sent.
  bool HasRecoveries() const { return !recoveries_.is_empty(); }
  // Whether a new line would say more than the last one did, or the last one has a tail yet to go.
  bool HasUnflushed() const;

  // Does `work` while no line is built or sent: a crash handler of another thread waits for its end. False: a crash
  // handler is at work, and nothing was done.
  bool DoQuiet(void (*work)(void* context), void* context);

  void CountMissed();
  Sink::Position sink_position() const { return sink_.position(); }

  // Whether another store has a half-sent line in the same sink, which must go first.
  bool WaitsForTurn() const { return is_open_.load(std::memory_order_acquire) && sink_.is_others_turn(); }
  // The last line of a dying process, from its crash handler. Gives up at `deadline_ms`. True when the line is out; a
  // line that is not out is counted as missed.
  bool LastLine(int64_t deadline_ms);
  // The process has survived its last line: allows flushes again.
  void Revive();

 private:
  enum Phase : uint32_t { kIdle, kBuilding, kSending, kTaken };

  // Does `work` with every signal blocked and the phase at kSending; only there are the sink and a held line touched.
  // `from` is the phase to leave. kCrashing: a crash handler has the phase already.
  template <typename Work>
  Status InSending(Phase from, Work work);
  // False when the phase is not `from`: a crash handler has taken it.
  bool PassPhase(uint32_t from, uint32_t to);
  // Looks whether the path still names the open sink. When it does not, no tail of ours is in the sink any more. Even
  // this look needs the phase at kSending: the handler of a crash on another thread may be about to reopen the sink.
  Status Reopen();
  // Reopens the sink, and sends what goes before the next line: the tail of a held one, then recoveries.
  Status Resume();
  // Sends what is left of a line, and commits it when all is out. A line that is out in part is held.
  Status SendRest(Line& line);
  // Null: no line has a tail to send, and none is on its way.
  void Hold(Line* line);
  Line* HeldLine() const { return held_.load(std::memory_order_relaxed); }  // see Hold
  // Whether something goes before the next line: the tail of a held line, or recoveries.
  bool HasEarlier() const { return HeldLine() != nullptr || HasRecoveries(); }

  // The rest is LastLine's.
  bool SendLastLine(int64_t deadline_ms);
  // Calls `send` until all is out, at most until the deadline.
  template <typename Send>
  bool SendBy(int64_t deadline_ms, Send send);
  // Takes the phase for good. False when the deadline has passed.
  bool TakePhase(int64_t deadline_ms);
  // This thread had a fault between the first byte and the commit of a line: finds out how much of the line is out.
  void SettleInterrupted();

  Cells& cells_;
  const LineTemplate& template_;
  const DeviceLists& devices_;
  const uint32_t missed_cell_;
  std::atomic<uint32_t> phase_{kIdle};
  std::atomic<bool> is_open_{false};
  // The thread that has the phase at kSending; 0: none. Relaxed: a thread looks only for itself.
  std::atomic<uintptr_t> sending_thread_{0};
  // The line that `sending_thread_` hands to the sink. Relaxed: only a handler on the same thread takes it away.
  std::atomic<Line*> sending_{nullptr};
  Sink sink_;
  Line line_;
  // The line with a tail that the sink has not taken yet: `line_`, or the last line of a process that survived it.
  // Relaxed: the phase publishes the line.
  std::atomic<Line*> held_{nullptr};
  uint64_t lines_built_ = 0;
  Recoveries recoveries_;
  Line last_line_;
};

}  // namespace vmm

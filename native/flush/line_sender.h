// A LineSender builds a line, hands the line whole to the sink, and only then commits it. A crash handler may take over
// at any moment, for the last line of a dying process.
//
//   idle ──► building ──► sending ──► idle
//               │            │
//               ▼            ▼
//             taken        taken
//
// A crash handler takes the phase of a line that is being built, and drops that line. While a line is being sent, the
// handler waits. The exception is a fault on the very thread that sends: the handler then takes this phase too, and
// asks the sink how much of the line is out.
//
// If a pipe took only a part of a line, the line is held: the next flush first sends its tail, and then commits the
// line. The last lines of earlier lives of the process (see Recoveries) go before any line of its own.
//
// Thread-safety:       one thread at a time, which holds the flusher's lock. Fit needs the store's lock instead. Any
//                      thread may call is_open, WaitsForTurn and LastLine.
// Async-signal-safety: LastLine and WaitsForTurn are safe, at any moment; the others are not.
// Memory ordering:     each change of the phase acquires and releases. So the line, the sink and the held line pass
//                      from one owner of the phase to the next, which may be a crash handler on another thread.
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
#include "kvm/samples.h"

namespace vmm {

class LineSender {
 public:
  // `missed_cell` counts the lines that did not get out whole when they were due. kNoCell: nothing counts them. `kvm`
  // is sampled just before each line is built. Null: there is nothing to sample.
  LineSender(Cells& cells, const LineTemplate& line_template, const DeviceLists& devices, uint32_t missed_cell,
             const KvmSamples* kvm);
  ~LineSender() { sink_.Close(); }
  LineSender(const LineSender&) = delete;
  LineSender& operator=(const LineSender&) = delete;

  // Opens `path` as the sink, or `descriptor` if `path` is null. Then takes over `recoveries`, unless that is null.
  // Another store that waits for the rest of a line of this store calls `finish(flusher)`.
  Status Open(const char* path, int descriptor, FinishLine finish, void* flusher, Recoveries* recoveries);
  // Whether Open succeeded. Relaxed: it publishes nothing to the caller.
  bool is_open() const { return is_open_.load(std::memory_order_relaxed); }
  // Closes the sink. Call this when no crash handler can find this object any more.
  void Close();

  // Makes room for lines of up to `line_bytes`. Under the store's lock.
  Status Fit(uint64_t line_bytes);

  // Sends what is held, and then a new line. Not ok: the new line was not built, was dropped, or is held.
  Status SendNew();
  // Sends what is held, and no new line.
  Status SendHeld();
  // Sends what is held, and then one new line. Waits for room in a full pipe, and while it is another store's turn,
  // until `deadline_ms` at most.
  Status SendNewBy(int64_t deadline_ms);

  // Whether a part of a line is out, and the rest is not.
  bool HasTail() const { return HeldLine() != nullptr || recoveries_.is_partly_sent(); }
  // Whether last lines of earlier lives are still to be sent.
  bool HasRecoveries() const { return !recoveries_.is_empty(); }
  // Whether a new line would show changes since the last one, or the rest of the last line is still to be sent.
  bool HasUnflushed() const;

  // Calls `work` while no line is built or sent: a crash handler on another thread waits until `work` returns. False: a
  // crash handler is at work or waits, and nothing was done. So a handler waits for one call at most.
  bool DoQuiet(void (*work)(void* context), void* context);

  void CountMissed();
  Sink::Position sink_position() const { return sink_.position(); }

  // Whether another store has a half-sent line in the same sink, which must go first.
  bool WaitsForTurn() const { return is_open_.load(std::memory_order_acquire) && sink_.is_others_turn(); }
  // Sends the last line of a dying process, after the rest of a line that is partly out. For a crash handler, and for
  // exit() in a signal handler. Gives up at `deadline_ms`. No line follows until Revive. True: the line is out. False:
  // the line is not out, and counts as missed if there is a sink.
  bool LastLine(int64_t deadline_ms);
  // The process has survived its last line: allows flushes again.
  void Revive();

 private:
  // Who may build a line and use the sink.
  enum Phase : uint32_t {
    kIdle,      // nobody
    kBuilding,  // a flush, which has written nothing yet: a crash handler takes over
    kSending,   // a flush until its line is out and committed, or DoQuiet: a crash handler on another thread waits
    kTaken,     // a crash handler, until Revive
  };

  // Calls `work` under a SignalMask, with the phase at kSending. Flushes use the sink and a held line only there.
  // `from` is the phase to leave. kCrashing: a crash handler has the phase already.
  template <typename Work>
  Status InSending(Phase from, Work work);
  // False when the phase is not `from`: a crash handler has taken it.
  bool PassPhase(uint32_t from, uint32_t to);
  // Opens the sink again if the path names another file. Then no half-sent line of ours is in the sink. This needs the
  // phase at kSending, even to check: a crash handler on another thread may be about to reopen the sink.
  Status Reopen();
  // Reopens the sink, and sends what goes before the next line: the tail of a held line, then recoveries.
  Status Resume();
  // Samples KVM, and builds the line in that bank.
  bool Build(Line& line, const ShardSelection& shards, uint32_t bank);
  // Sends what is left of a line, and commits it when all is out. If only a part is out, the line is held.
  Status SendRest(Line& line);
  // Notes the line whose tail is to be sent. Null: there is none, and no line is on its way.
  void Hold(Line* line);
  Line* HeldLine() const { return held_.load(std::memory_order_relaxed); }  // see Hold
  // Whether something goes before the next line: the tail of a held line, or recoveries.
  bool HasEarlier() const { return HeldLine() != nullptr || HasRecoveries(); }

  // The functions below are parts of LastLine.
  bool SendLastLine(int64_t deadline_ms);
  // Calls `send` until all is out, at most until the deadline.
  template <typename Send>
  bool SendBy(int64_t deadline_ms, Send send);
  // Takes the phase, until Revive. False: the deadline has passed, or the phase was taken before.
  bool TakePhase(int64_t deadline_ms);
  bool TryPhaseUntil(int64_t deadline_ms);
  // This thread had a fault between the first byte and the commit of a line: finds out how much of the line is out.
  void SettleInterrupted();

  Cells& cells_;
  const LineTemplate& template_;
  const DeviceLists& devices_;
  const uint32_t missed_cell_;
  const KvmSamples* const kvm_;
  std::atomic<uint32_t> phase_{kIdle};
  std::atomic<bool> is_open_{false};
  // How many last lines wait for the phase. Relaxed: it publishes nothing.
  std::atomic<uint32_t> waiting_{0};
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

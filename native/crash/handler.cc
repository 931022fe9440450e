#include "crash/handler.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <initializer_list>

#include "base/clock.h"
#include "base/signal_mask.h"
#include "base/this_thread.h"
#include "crash/capture_state.h"
#include "crash/handler_chain.h"
#include "crash/sibling.h"
#include "profile/last_samples.h"
#include "region/region_guard.h"

namespace vmm {

CaptureState g_capture;

namespace {

// A second thread that crashes waits until the first thread has sent the last lines and the process is dead. It waits
// for at most limit_ms plus this time.
constexpr int kOtherCrashMs = 400;

// Whether the signal ends the process, or may end it, when it meets this disposition. This is for signals that were
// sent, not for those that an instruction raised.
bool IsDeadly(int signal, const Disposition& disposition, int hops) {
  if (IsFunction(disposition.action)) {
    // The handler of a fatal signal is expected to end the process. A handler that runs once, such as Node's for
    // SIGTERM, raises the signal again.
    if (IsFatal(signal) || (disposition.action.sa_flags & SA_RESETHAND) != 0) return true;
    return disposition.sibling != nullptr && hops < kSiblingHopsMax && disposition.sibling->is_deadly(signal, hops + 1);
  }
  return IsDefault(disposition.action) && !IsHarmlessByDefault(signal) && !IsStopByDefault(signal);
}

void SendToSelf(int signal) { syscall(SYS_tgkill, getpid(), ThreadId(), signal); }

void CountSignal(CaptureTarget& target, int signal) {
  const CaptureTarget::Mark& mark = target.marks[signal];
  if (mark.cell == kNoCell) return;
  // In shard 0: this thread may have been interrupted in the middle of an add to its own shard.
  Cell& cell = target.cells->Shared(mark.cell);
  if (mark.is_store) {
    Set(cell, 1);
  } else {
    AddShared(cell, 1);
  }
}

void WriteRecord(CaptureTarget& target, int signal, const siginfo_t* info, pid_t thread) {
  RegionHeader& header = target.cells->region().header();
  CrashRecord& record = header.crash;
  record.code = info->si_code;
  record.address = IsRetried(signal, info) ? reinterpret_cast<uint64_t>(info->si_addr) : 0;
  record.thread_id = thread;
  record.realtime_ns = RealtimeNs();
  // Release: publishes the record's other fields to a reader that sees a signal other than 0.
  record.signal.store(static_cast<uint32_t>(signal), std::memory_order_release);
  header.state.store(static_cast<uint32_t>(RegionState::kCrashed), std::memory_order_release);  // publishes the record
}

// Installs the disposition in place of our handler, so that the signal meets it. This replaces a host's handler above
// ours as well: the host's handler is running now, and needs no second run when the signal comes again.
void PassOn(int signal, siginfo_t* info, const Disposition& disposition) {
  struct sigaction next = disposition.action;
  if (IsForced(signal, info) && IsIgnored(next)) next.sa_handler = SIG_DFL;  // as the kernel does
  sigaction(signal, &next, nullptr);
  if (IsRetried(signal, info)) return;  // the instruction runs again, and faults again
  // The kernel never kills the init process of a container by a signal that the process sends to itself.
  if (IsDefault(next) && getpid() == 1) _exit(128 + signal);
  // Send the signal again, with its siginfo. It stays blocked until the last handler returns. SIGBUS has to be blocked
  // here, since our handler does not block it, see OursAbove.
  const sigset_t only = OnlySignal(signal);
  pthread_sigmask(SIG_BLOCK, &only, nullptr);
  if (syscall(SYS_rt_tgsigqueueinfo, getpid(), ThreadId(), signal, info) != 0) SendToSelf(signal);
}

// Sends the last line of each store. A store that waits for another store to finish a half-sent line comes in the
// second round.
void SendLastLines(int64_t deadline_ms) {
  const CaptureTarget* done[kCapturedMax];
  int done_count = 0;
  const auto is_done = [&](const CaptureTarget& target) {
    for (int i = 0; i < done_count; i++) {
      if (done[i] == &target) return true;
    }
    return false;
  };
  for (const bool is_last_round : {false, true}) {
    g_capture.ForEachTarget([&](CaptureTarget& target) {
      if (done_count == kCapturedMax || is_done(target) || (!is_last_round && target.sender->WaitsForTurn())) return;
      done[done_count++] = &target;
      target.sender->LastLine(deadline_ms);
    });
  }
}

void WaitForDeath() {
  const int waits_ms = g_capture.limit_ms.load(std::memory_order_relaxed) + kOtherCrashMs;  // publishes nothing
  for (int waited_ms = 0; waited_ms < waits_ms; waited_ms += 10) {
    SleepUs(10'000);
  }
}

// Stops the process as the default of this signal does. In an orphaned process group the default does nothing.
void StopByDefault(int signal) {
  struct sigaction by_default = {}, ours;
  by_default.sa_handler = SIG_DFL;
  const sigset_t only = OnlySignal(signal);
  sigset_t before;
  sigaction(signal, &by_default, &ours);
  SendToSelf(signal);
  pthread_sigmask(SIG_UNBLOCK, &only, &before);  // it stops here
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  sigaction(signal, &ours, nullptr);
}

// Counts a signal that does not end the process, and passes it on to the earlier disposition. If the signal may end the
// process, does nothing and returns false. `depth` is ChainEntry::depth(): only the outermost call counts.
bool TryHarmless(int signal, siginfo_t* info, void* context, const Disposition& earlier, int depth) {
  if (IsForced(signal, info)) return false;
  if (IsDeadly(signal, earlier, 0)) {
    // By default, a signal that is sent does not kill the init process of a container. abort() is the only exception.
    const bool is_kept_from_init =
        IsDefault(earlier.action) && getpid() == 1 && !(signal == SIGABRT && info->si_code == SI_TKILL);
    if (!is_kept_from_init) return false;
  }
  if (depth == 0) g_capture.ForEachTarget([&](CaptureTarget& target) { CountSignal(target, signal); });
  if (IsFunction(earlier.action)) {
    CallHandler(earlier, signal, info, context);
  } else if (IsDefault(earlier.action) && IsStopByDefault(signal)) {
    StopByDefault(signal);
  }
  return true;
}

// When our handler is installed for SIGBUS only to repair regions, any other SIGBUS belongs to the earlier disposition.
bool TryHandOn(int signal, siginfo_t* info, void* context, const Disposition& earlier) {
  if (signal != SIGBUS || (g_capture.captured_by_default.load(std::memory_order_relaxed) & SetOf(signal)) == 0)
    return false;  // relaxed: the set publishes nothing
  if (!IsFunction(earlier.action) || (earlier.action.sa_flags & SA_RESETHAND) != 0) {
    PassOn(signal, info, earlier);  // death, or a handler that runs once before death
  } else {
    CallHandler(earlier, signal, info, context);
  }
  return true;
}

// `is_counted`: an outer call of our handler took the signal for harmless, counted it, and passed it on to a handler
// that called ours again.
void HandleDeath(int signal, siginfo_t* info, const Disposition& earlier, bool is_counted) {
  const pid_t thread = ThreadId();
  pid_t crashed = 0;
  // Acquire-release: one thread wins. Acquire pairs with the release store in ReviveIfSurvived.
  if (!g_capture.crashed_thread.compare_exchange_strong(crashed, thread, std::memory_order_acq_rel)) {
    if (crashed != thread) WaitForDeath();
    // This thread may have been here before, if the earlier handler called ours again. Then only the first disposition
    // is left to try.
    PassOn(signal, info, *FirstDisposition(signal));
    return;
  }
  g_capture.crash_done_ms.store(0, std::memory_order_relaxed);  // publishes nothing: the crash is not done
  g_capture.ForEachTarget([&](CaptureTarget& target) {
    WriteRecord(target, signal, info, thread);
    if (!is_counted) CountSignal(target, signal);
    CountDegraded(target);
  });
  // Riskier work starts here: everything below reads the program and the devices, and writes to the sinks.
  const int64_t deadline_ms = MonotonicMs() + g_capture.limit_ms.load(std::memory_order_relaxed);  // publishes nothing
  SendLastLines(deadline_ms);
  // Profiles come after every store's last line, since a profile is worth less than the last values.
  g_capture.ForEachTarget([&](CaptureTarget& target) {
    if (target.last_samples != nullptr) target.last_samples->Send(deadline_ms);
  });
  PassOn(signal, info, earlier);
  // Release: pairs with the acquire load in ReviveIfSurvived, which finds a process that survived.
  g_capture.crash_done_ms.store(MonotonicMs(), std::memory_order_release);
}

// After a fault on lost memory of a region: replaces the memory, so that the instruction can run again.
bool TryRepair(int signal, const siginfo_t* info) {
  return signal == SIGBUS && info->si_code == BUS_ADRERR && RepairHere(info->si_addr, 0);
}

// If somebody sends the signal of a fault while this thread sends a line, postpones the signal until the line is out:
// SignalMask does not block these signals. SIGABRT is not postponed: SignalMask blocks it, so only abort() can have
// raised it here.
bool TryPostpone(int signal, siginfo_t* info, void* context) {
  if (context == nullptr || !IsFatal(signal) || signal == SIGABRT || IsForced(signal, info) || !SignalMask::IsInForce())
    return false;
  sigset_t& blocked = static_cast<ucontext_t*>(context)->uc_sigmask;
  const sigset_t only = OnlySignal(signal);
  pthread_sigmask(SIG_BLOCK, &only, nullptr);  // until this handler returns: otherwise the signal would arrive here at once
  sigaddset(&blocked, signal);                 // after it returns, until SignalMask restores the mask
  return syscall(SYS_rt_tgsigqueueinfo, getpid(), ThreadId(), signal, info) == 0;
}

}  // namespace

// In a chain of handlers, those of two copies may alternate. Then each copy is asked several times, each time about the
// disposition below the one before.
bool IsDeadlyHere(int signal, int hops) {
  const Disposition* const disposition = signal > 0 && signal < kSignals ? DispositionAt(signal, hops / 2) : nullptr;
  return disposition != nullptr && IsDeadly(signal, *disposition, hops);
}

// Tries the regions of this copy, then those of the copies whose handlers stand below ours.
bool RepairHere(void* address, int hops) {
  if (RepairRegion(address)) return true;
  if (hops >= kSiblingHopsMax) return false;
  for (const Disposition* at = DispositionAt(SIGBUS, 0); at != nullptr; at = at->older) {
    if (at->sibling != nullptr && at->sibling->repair(address, hops + 1)) return true;
  }
  return false;
}

// The steps are in the order of rising risk. Tried and dropped: a jump out of the handler (the fault must happen again,
// so that the core dump is right), a helper thread that writes (it can be the thread that crashed), formatting before
// one thread has won the crash (two threads would write). AddressSanitizer would put the locals on a stack of its own,
// but ChainEntry needs them on the stack that the kernel called this handler on.
__attribute__((no_sanitize_address)) void HandleSignal(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  // V8 turns a WebAssembly trap into a RuntimeError. It recognises its traps for SIGSEGV only. Relaxed: the function
  // was stored before this handler was installed.
  const TrapFunction trap_function = g_capture.trap_function.load(std::memory_order_relaxed);
  const bool is_trap = signal == SIGSEGV && trap_function != nullptr && trap_function(signal, info, context);
  if (!is_trap && !TryRepair(signal, info) && !TryPostpone(signal, info, context)) {
    if (!g_capture.process.IsSameProcess()) {
      // A forked child shares the parent's cells and sink, and must touch neither.
      PassOn(signal, info, *FirstDisposition(signal));
    } else {
      // Each time a handler below ours calls ours again, the next older disposition gets the signal.
      const ChainEntry entry(context);
      const Disposition& earlier = *DispositionAt(signal, entry.depth());
      if (!TryHarmless(signal, info, context, earlier, entry.depth()) && !TryHandOn(signal, info, context, earlier)) {
        HandleDeath(signal, info, earlier, entry.depth() > 0);
      }
    }
  }
  errno = saved_errno;
}

void CountDegraded(CaptureTarget& target) {
  if (!target.cells->region().is_degraded()) return;
  // Relaxed: the first caller counts; it publishes nothing.
  if (target.degraded_is_counted.exchange(true, std::memory_order_relaxed)) return;
  if (target.error_cell != kNoCell) AddShared(target.cells->Shared(target.error_cell), 1);
}

}  // namespace vmm

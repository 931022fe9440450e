#include "crash/handler.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/signal_mask.h"
#include "crash/capture_state.h"
#include "crash/handler_chain.h"
#include "crash/sibling.h"
#include "profile/profiler.h"
#include "region/region_guard.h"

namespace vmm {

CaptureState g_capture;

namespace {

// How long a thread that crashes second waits for the first one's line and for death, beyond the limit of that.
constexpr int kOtherCrashMs = 400;

// Whether a signal that nobody's instruction raised ends the process, or may, once it meets this disposition.
bool IsDeadly(int signal, const Disposition& disposition, int hops) {
  if (IsFunction(disposition.action)) {
    // For a fatal signal it may well be the end; and a handler that is to run once, as Node's for SIGTERM, raises the
    // signal again.
    if (IsFatal(signal) || (disposition.action.sa_flags & SA_RESETHAND) != 0) return true;
    return disposition.sibling != nullptr && hops < kSiblingHopsMax && disposition.sibling->is_deadly(signal, hops + 1);
  }
  return IsDefault(disposition.action) && !IsHarmlessByDefault(signal) && !IsStopByDefault(signal);
}

// gettid(2) by number: the wrapper is missing in older C libraries, and caching it would need a thread_local, whose
// first use in a dlopened library may allocate.
pid_t ThreadId() { return static_cast<pid_t>(syscall(SYS_gettid)); }

void SendToSelf(int signal) { syscall(SYS_tgkill, getpid(), ThreadId(), signal); }

void CountIn(Captured& captured, int signal) {
  const Captured::Mark& mark = captured.marks[signal];
  if (mark.cell == Flusher::kNoCell) return;
  // Shard 0: this thread may have been interrupted in the middle of an add to its own.
  Cell& cell = captured.cells->Shared(mark.cell);
  if (mark.is_store) {
    Set(cell, 1);
  } else {
    AddShared(cell, 1);
  }
}

void WriteRecord(Captured& captured, int signal, const siginfo_t* info, pid_t thread) {
  RegionHeader& header = captured.cells->region().header();
  CrashRecord& record = header.crash;
  record.code = info->si_code;
  record.address = IsRetried(signal, info) ? reinterpret_cast<uint64_t>(info->si_addr) : 0;
  record.thread_id = thread;
  record.realtime_ns = RealtimeNs();
  // Release: publishes the record's other fields to who reads a signal other than 0.
  record.signal.store(static_cast<uint32_t>(signal), std::memory_order_release);
  header.state.store(static_cast<uint32_t>(RegionState::kCrashed), std::memory_order_release);  // likewise
}

// Puts that disposition in our place and lets the signal meet it, even when somebody else's handler stands above ours
// and called it: that one has its turn now, and has had it when the signal comes again.
void PassOn(int signal, siginfo_t* info, const Disposition& disposition) {
  struct sigaction next = disposition.action;
  if (IsForced(signal, info) && IsIgnored(next)) next.sa_handler = SIG_DFL;  // as the kernel does
  sigaction(signal, &next, nullptr);
  if (IsRetried(signal, info)) return;  // the fault happens again
  // The init process of a container is never killed by a signal it sends itself.
  if (IsDefault(next) && getpid() == 1) _exit(128 + signal);
  // Once more, with what came with it; it is blocked here (a SIGBUS not by itself, see Install) and comes when the last
  // handler returns.
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  pthread_sigmask(SIG_BLOCK, &only, nullptr);
  if (syscall(SYS_rt_tgsigqueueinfo, getpid(), ThreadId(), signal, info) != 0) SendToSelf(signal);
}

void WaitForDeath() {
  const int waits_ms = g_capture.limit_ms.load(std::memory_order_relaxed) + kOtherCrashMs;
  for (int waited_ms = 0; waited_ms < waits_ms; waited_ms += 10) {
    SleepUs(10'000);
  }
}

// Stops as the default of this signal does; for an orphaned process group that is not at all.
void StopByDefault(int signal) {
  struct sigaction by_default = {}, ours;
  by_default.sa_handler = SIG_DFL;
  sigset_t only, before;
  sigemptyset(&only);
  sigaddset(&only, signal);
  sigaction(signal, &by_default, &ours);
  SendToSelf(signal);
  pthread_sigmask(SIG_UNBLOCK, &only, &before);  // it stops here
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  sigaction(signal, &ours, nullptr);
}

// A signal that does not mean death: counted, and left to what would have become of it. False when that is death.
// `depth`: how often our handler is running for this signal already, called by those that it hands on to; the signal is
// counted by the outermost.
bool HandleHarmless(int signal, siginfo_t* info, void* context, const Disposition& earlier, int depth) {
  if (IsForced(signal, info)) return false;
  if (IsDeadly(signal, earlier, 0)) {
    // The init process of a container that handles no signal is not killed by one that is sent; only abort() is its end
    // all the same.
    const bool is_kept_from_init =
        IsDefault(earlier.action) && getpid() == 1 && !(signal == SIGABRT && info->si_code == SI_TKILL);
    if (!is_kept_from_init) return false;
  }
  if (depth == 0) g_capture.ForEachCaptured([&](Captured& captured) { CountIn(captured, signal); });
  if (IsFunction(earlier.action)) {
    CallHandler(earlier, signal, info, context);
  } else if (IsDefault(earlier.action) && IsStopByDefault(signal)) {
    StopByDefault(signal);
  }
  return true;
}

// A handler that stands for the repair of regions alone: any other SIGBUS is the business of whoever was there before.
bool TryHandOn(int signal, siginfo_t* info, void* context, const Disposition& earlier) {
  if (signal != SIGBUS || (g_capture.by_default.load(std::memory_order_relaxed) & SetOf(signal)) == 0)
    return false;  // a set of bits
  if (!IsFunction(earlier.action) || (earlier.action.sa_flags & SA_RESETHAND) != 0) {
    PassOn(signal, info, earlier);  // death; or a handler that is to run once, and after which death comes
  } else {
    CallHandler(earlier, signal, info, context);
  }
  return true;
}

// `is_counted`: the signal was taken for harmless first, and handed on to somebody who handed on to us.
void HandleDeath(int signal, siginfo_t* info, const Disposition& earlier, bool is_counted) {
  const pid_t thread = ThreadId();
  pid_t crashed = 0;
  // Acquire-release: one thread wins; it publishes nothing by it.
  if (!g_capture.crashed_thread.compare_exchange_strong(crashed, thread, std::memory_order_acq_rel)) {
    if (crashed != thread) WaitForDeath();
    // This thread may have come here before, by way of somebody who hands on to us: then only what was there first is
    // left.
    PassOn(signal, info, *FirstDisposition(signal));
    return;
  }
  g_capture.crash_done_ms.store(0, std::memory_order_relaxed);  // read after g_capture.crashed_thread only
  g_capture.ForEachCaptured([&](Captured& captured) {
    WriteRecord(captured, signal, info, thread);
    if (!is_counted) CountIn(captured, signal);
    CountDegraded(captured);
  });
  // Riskier from here on: everything below reads the program and the devices, and writes to the sinks.
  const int64_t deadline_ms = MonotonicMs() + g_capture.limit_ms.load(std::memory_order_relaxed);  // set before the handler was
  // A store that waits for the half line of another comes after that one.
  const Captured* done[kCapturedMax];
  int done_count = 0;
  const auto is_done = [&](const Captured& captured) {
    for (int i = 0; i < done_count; i++) {
      if (done[i] == &captured) return true;
    }
    return false;
  };
  for (const bool whoever : {false, true}) {
    g_capture.ForEachCaptured([&](Captured& captured) {
      if (done_count == kCapturedMax || is_done(captured) || (!whoever && captured.flusher->WaitsForTurn())) return;
      done[done_count++] = &captured;
      captured.flusher->LastLine(deadline_ms);
    });
  }
  // After every store's line: a profile is worth less than the last numbers.
  g_capture.ForEachCaptured([&](Captured& captured) {
    if (captured.profiler != nullptr) captured.profiler->LastSamples(deadline_ms);
  });
  PassOn(signal, info, earlier);
  // Release: pairs with the acquire load in ReviveIfSurvived, for a process that lives on.
  g_capture.crash_done_ms.store(MonotonicMs(), std::memory_order_release);
}

// Memory of our own region that was lost: given back, and the instruction runs again.
bool TryRepair(int signal, const siginfo_t* info) {
  return signal == SIGBUS && info->si_code == BUS_ADRERR && RepairHere(info->si_addr, 0);
}

// A signal of a fault that somebody sent while a line is going out on this thread, where these signals are not blocked
// (see SignalMask): comes again when the line is out. SIGABRT is blocked there, so that only abort() can have raised
// it.
bool TryPostpone(int signal, siginfo_t* info, void* context) {
  if (context == nullptr || !IsFatal(signal) || signal == SIGABRT || IsForced(signal, info) || !SignalMask::IsHere())
    return false;
  sigset_t& blocked = static_cast<ucontext_t*>(context)->uc_sigmask;
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  pthread_sigmask(SIG_BLOCK, &only, nullptr);  // else it would come at once, into this handler
  sigaddset(&blocked, signal);                 // and from the return of this handler on
  return syscall(SYS_rt_tgsigqueueinfo, getpid(), ThreadId(), signal, info) == 0;
}

}  // namespace

// The same for another copy that has our handler below its own. When two copies stand above one another by turns, each
// is asked for one disposition deeper every time.
bool IsDeadlyHere(int signal, int hops) {
  const Disposition* const disposition = signal > 0 && signal < kSignals ? DispositionAt(signal, hops / 2) : nullptr;
  return disposition != nullptr && IsDeadly(signal, *disposition, hops);
}

// Memory of a region of ours that was lost: of this copy's, or of one that we stand above.
bool RepairHere(void* address, int hops) {
  if (RepairRegion(address)) return true;
  if (hops >= kSiblingHopsMax) return false;
  for (const Disposition* at = DispositionAt(SIGBUS, 0); at != nullptr; at = at->older) {
    if (at->sibling != nullptr && at->sibling->repair(address, hops + 1)) return true;
  }
  return false;
}

// In the order of rising risk. Tried and dropped: a jump out of the handler (the fault must happen again to give the
// right core), a helper thread that writes (it can be the one that crashed), formatting before the once-guard (two
// threads would write). Its own frame is to be on the stack that the signal came to, see ChainEntry; AddressSanitizer
// has others.
__attribute__((no_sanitize_address)) void HandleSignal(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  // A WebAssembly trap is a RuntimeError to come. V8 knows its own traps for SIGSEGV only.
  const TrapFunction trap_function = g_capture.trap_function.load(std::memory_order_relaxed);  // set before the handler was
  const bool is_trap = signal == SIGSEGV && trap_function != nullptr && trap_function(signal, info, context);
  if (!is_trap && !TryRepair(signal, info) && !TryPostpone(signal, info, context)) {
    if (!g_capture.process.IsSameProcess()) {
      // A forked child shares the parent's cells and sink, and has no business with either.
      PassOn(signal, info, *FirstDisposition(signal));
    } else {
      // Each time that those we hand on to hand on to us again, what is one older has its turn.
      const ChainEntry entry(context);
      const Disposition& earlier = *DispositionAt(signal, entry.depth());
      if (!HandleHarmless(signal, info, context, earlier, entry.depth()) && !TryHandOn(signal, info, context, earlier)) {
        HandleDeath(signal, info, earlier, entry.depth() > 0);
      }
    }
  }
  errno = saved_errno;
}

void CountDegraded(Captured& captured) {
  if (!captured.cells->region().is_degraded()) return;
  // Relaxed: once, by whoever comes first; it publishes nothing.
  if (captured.degraded_is_counted.exchange(true, std::memory_order_relaxed)) return;
  if (captured.error_cell != Flusher::kNoCell) AddShared(captured.cells->Shared(captured.error_cell), 1);
}

}  // namespace vmm

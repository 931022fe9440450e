#include "crash.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

#include "clock.h"
#include "copies.h"
#include "handler_chain.h"
#include "handler_gate.h"
#include "process_mark.h"
#include "profiler.h"
#include "region_guard.h"
#include "sibling.h"
#include "signal_mask.h"

namespace vmm {

namespace {

constexpr int kFatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP};
// Ways to be asked to go. They end a process that does not handle them, and its last numbers count as much then.
constexpr int kPolite[] = {SIGTERM, SIGINT, SIGHUP};
// How long a thread that crashes second waits for the first one's line and for death, beyond the limit of that.
constexpr int kOtherCrashMs = 400;
// How long the release of a store waits for handlers: those that only count return soon, if they are not kept from the processor;
// one that sends last lines never comes back.
constexpr int kReleaseMs = 10'000;
constexpr int kReleaseInCrashMs = 200;

using TrapFunction = bool (*)(int, siginfo_t*, void*);

// All of it is per process. The handler reads what Capture published before it installed the handler.
std::mutex g_lock;
HandlerTable<Captured, kCapturedMax> g_captured;
std::atomic<SignalSet> g_installed{0};
// Those among them that nobody asked for or marked: to handle such a one instead of us is the host's good right.
std::atomic<SignalSet> g_unasked{0};
std::atomic<int> g_limit_ms{0};
ProcessMark g_process;  // that captured last
std::atomic<TrapFunction> g_trap_function{nullptr};
// The thread that has the crash; 0 while nobody is dying.
std::atomic<pid_t> g_crashed_thread{0};
// When its handler was done; 0 while it is at it.
std::atomic<int64_t> g_crash_done_ms{0};

void HandleSignal(int signal, siginfo_t* info, void* context);

bool IsFatal(int signal) {
  for (const int fatal : kFatal) {
    if (fatal == signal) return true;
  }
  return false;
}

bool IsPolite(int signal) {
  for (const int polite : kPolite) {
    if (polite == signal) return true;
  }
  return false;
}

// Whether the thread's own instruction raised it. The kernel then kills even a process that ignores the signal.
bool IsForced(int signal, const siginfo_t* info) {
  // A memory error that is only reported comes like a signal that somebody sent.
  return IsFatal(signal) && info->si_code > 0 && !(signal == SIGBUS && info->si_code == BUS_MCEERR_AO);
}

// Whether returning from the handler runs the faulting instruction again, which then dies of the earlier disposition.
bool IsRetried(int signal, const siginfo_t* info) {
  return IsForced(signal, info) && (signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE);
}

bool IsHarmlessByDefault(int signal) { return signal == SIGCHLD || signal == SIGURG || signal == SIGWINCH || signal == SIGCONT; }

bool IsStopByDefault(int signal) { return signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU; }

// Whether a signal that nobody's instruction raised ends the process, or may, once it meets this disposition.
bool IsDeadly(int signal, const Disposition& disposition, int hops) {
  if (IsFunction(disposition.action)) {
    // For a fatal signal it may well be the end; and a handler that is to run once, as Node's for SIGTERM, raises the signal
    // again.
    if (IsFatal(signal) || (disposition.action.sa_flags & SA_RESETHAND) != 0) return true;
    return disposition.sibling != nullptr && hops < kSiblingHopsMax && disposition.sibling->is_deadly(signal, hops + 1);
  }
  return IsDefault(disposition.action) && !IsHarmlessByDefault(signal) && !IsStopByDefault(signal);
}

// The same for another copy that has our handler below its own. When two copies stand above one another by turns, each is asked
// for one disposition deeper every time.
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

// gettid(2) by number: the wrapper is missing in older C libraries, and caching it would need a thread_local, whose first use
// in a dlopened library may allocate.
pid_t ThreadId() { return static_cast<pid_t>(syscall(SYS_gettid)); }

void SendToSelf(int signal) { syscall(SYS_tgkill, getpid(), ThreadId(), signal); }

bool IsOurs(const struct sigaction& action) { return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == HandleSignal; }

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

template <typename Visit>
void ForEachCaptured(Visit visit) {
  g_captured.ForEachUntil([&](Captured& captured) {
    visit(captured);
    return false;
  });
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

// Puts that disposition in our place and lets the signal meet it, even when somebody else's handler stands above ours and called
// it: that one has its turn now, and has had it when the signal comes again.
void PassOn(int signal, siginfo_t* info, const Disposition& disposition) {
  struct sigaction next = disposition.action;
  if (IsForced(signal, info) && IsIgnored(next)) next.sa_handler = SIG_DFL;  // as the kernel does
  sigaction(signal, &next, nullptr);
  if (IsRetried(signal, info)) return;  // the fault happens again
  // The init process of a container is never killed by a signal it sends itself.
  if (IsDefault(next) && getpid() == 1) _exit(128 + signal);
  // Once more, with what came with it; it is blocked here (a SIGBUS not by itself, see Install) and comes when the last handler
  // returns.
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  pthread_sigmask(SIG_BLOCK, &only, nullptr);
  if (syscall(SYS_rt_tgsigqueueinfo, getpid(), ThreadId(), signal, info) != 0) SendToSelf(signal);
}

void WaitForDeath() {
  const int waits_ms = g_limit_ms.load(std::memory_order_relaxed) + kOtherCrashMs;
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

// A signal that does not mean death: counted, and left to what would have become of it. False when that is death. `depth`: how
// often our handler is running for this signal already, called by those that it hands on to; the signal is counted by the
// outermost.
bool HandleHarmless(int signal, siginfo_t* info, void* context, const Disposition& earlier, int depth) {
  if (IsForced(signal, info)) return false;
  if (IsDeadly(signal, earlier, 0)) {
    // The init process of a container that handles no signal is not killed by one that is sent; only abort() is its end all the
    // same.
    const bool is_kept_from_init =
        IsDefault(earlier.action) && getpid() == 1 && !(signal == SIGABRT && info->si_code == SI_TKILL);
    if (!is_kept_from_init) return false;
  }
  if (depth == 0) ForEachCaptured([&](Captured& captured) { CountIn(captured, signal); });
  if (IsFunction(earlier.action)) {
    CallHandler(earlier, signal, info, context);
  } else if (IsDefault(earlier.action) && IsStopByDefault(signal)) {
    StopByDefault(signal);
  }
  return true;
}

// A handler that stands for the repair of regions alone: any other SIGBUS is the business of whoever was there before.
bool TryHandOn(int signal, siginfo_t* info, void* context, const Disposition& earlier) {
  if (signal != SIGBUS || (g_unasked.load(std::memory_order_relaxed) & SetOf(signal)) == 0) return false;  // a set of bits
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
  if (!g_crashed_thread.compare_exchange_strong(crashed, thread, std::memory_order_acq_rel)) {
    if (crashed != thread) WaitForDeath();
    // This thread may have come here before, by way of somebody who hands on to us: then only what was there first is left.
    PassOn(signal, info, *FirstDisposition(signal));
    return;
  }
  g_crash_done_ms.store(0, std::memory_order_relaxed);  // read after g_crashed_thread only
  ForEachCaptured([&](Captured& captured) {
    WriteRecord(captured, signal, info, thread);
    if (!is_counted) CountIn(captured, signal);
    CountDegraded(captured);
  });
  // Riskier from here on: everything below reads the program and the devices, and writes to the sinks.
  const int64_t deadline_ms = MonotonicMs() + g_limit_ms.load(std::memory_order_relaxed);  // set before the handler was
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
    ForEachCaptured([&](Captured& captured) {
      if (done_count == kCapturedMax || is_done(captured) || (!whoever && captured.flusher->WaitsForTurn())) return;
      done[done_count++] = &captured;
      captured.flusher->LastLine(deadline_ms);
    });
  }
  // After every store's line: a profile is worth less than the last numbers.
  ForEachCaptured([&](Captured& captured) {
    if (captured.profiler != nullptr) captured.profiler->LastSamples(deadline_ms);
  });
  PassOn(signal, info, earlier);
  // Release: pairs with the acquire load in ReviveIfSurvived, for a process that lives on.
  g_crash_done_ms.store(MonotonicMs(), std::memory_order_release);
}

// Memory of our own region that was lost: given back, and the instruction runs again.
bool TryRepair(int signal, const siginfo_t* info) {
  return signal == SIGBUS && info->si_code == BUS_ADRERR && RepairHere(info->si_addr, 0);
}

// A signal of a fault that somebody sent while a line is going out on this thread, where these signals are not blocked (see
// SignalMask): comes again when the line is out. SIGABRT is blocked there, so that only abort() can have raised it.
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

// In the order of rising risk. Tried and dropped: a jump out of the handler (the fault must happen again to give the right
// core), a helper thread that writes (it can be the one that crashed), formatting before the once-guard (two threads would
// write).
void HandleSignal(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  // A WebAssembly trap is a RuntimeError to come. V8 knows its own traps for SIGSEGV only.
  const TrapFunction trap_function = g_trap_function.load(std::memory_order_relaxed);  // set before the handler was
  const bool is_trap = signal == SIGSEGV && trap_function != nullptr && trap_function(signal, info, context);
  if (!is_trap && !TryRepair(signal, info) && !TryPostpone(signal, info, context)) {
    if (!g_process.IsHere()) {
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

// Our handler as it is to stand above `below`.
struct sigaction OursAbove(int signal, const struct sigaction& below) {
  struct sigaction ours = {};
  ours.sa_sigaction = HandleSignal;
  ours.sa_flags = SA_SIGINFO | (below.sa_flags & (SA_NOCLDSTOP | SA_NOCLDWAIT));
  const bool is_for_repairs = signal == SIGBUS && (g_unasked.load(std::memory_order_relaxed) & SetOf(signal)) != 0;
  if (IsFunction(below) && (below.sa_flags & SA_RESETHAND) == 0 && (!IsFatal(signal) || is_for_repairs)) {
    // We call it ourselves: on which stack it runs, what it blocks, and whether a system call is interrupted, stays as it was
    // asked for.
    ours.sa_flags |= below.sa_flags & (SA_RESTART | SA_NODEFER | SA_ONSTACK);
    ours.sa_mask = below.sa_mask;
  } else {
    ours.sa_flags |= SA_RESTART | SA_ONSTACK;
    if (signal == SIGCHLD && IsIgnored(below)) ours.sa_flags |= SA_NOCLDWAIT;
    sigfillset(&ours.sa_mask);
    // A fault inside the handler must not wait for the handler.
    for (const int fatal : kFatal) sigdelset(&ours.sa_mask, fatal);
  }
  if (signal == SIGBUS) {
    // Nor must the loss of a region's memory while the handler of another SIGBUS reads it.
    ours.sa_flags |= SA_NODEFER;
    sigdelset(&ours.sa_mask, SIGBUS);
  }
  return ours;
}

// Puts our handler above what is there; or, where it is there already, as it is to be by now (see g_unasked).
void Install(int signal, bool leave_ignored) {
  struct sigaction now = {};
  if (sigaction(signal, nullptr, &now) != 0) return;
  if (!IsOurs(now)) {
    if (leave_ignored && IsIgnored(now)) return;
    NoteDisposition(signal, now, SiblingOf(now));
  }
  const struct sigaction ours = OursAbove(signal, DispositionAt(signal, 0)->action);
  if (sigaction(signal, &ours, nullptr) == 0) g_installed.fetch_or(SetOf(signal), std::memory_order_relaxed);  // under the lock
}

void Uninstall(int signal) {
  struct sigaction now;
  if (sigaction(signal, nullptr, &now) == 0 && IsOurs(now)) sigaction(signal, &DispositionAt(signal, 0)->action, nullptr);
  g_installed.fetch_and(~SetOf(signal), std::memory_order_relaxed);  // under the lock
}

void AdoptProcess() {
  if (g_process.IsHere()) return;
  // A forked child: what was captured is its parent's.
  g_captured.Reset();
  // And so is a crash of the parent's, also one that it survived. Relaxed, both: nothing else runs here.
  g_crashed_thread.store(0, std::memory_order_relaxed);
  g_crash_done_ms.store(0, std::memory_order_relaxed);
  ChainEntry::ForgetAll();
  SignalMask::ForgetAll();
  g_process.Set();
}

void FindTrapFunction() {
  // Looked up here, not in the handler: dlsym takes locks. Relaxed: the handler that reads it is installed after this.
  g_trap_function.store(
      reinterpret_cast<TrapFunction>(dlsym(RTLD_DEFAULT, "_ZN2v829TryHandleWebAssemblyTrapPosixEiP9siginfo_tPv")),
      std::memory_order_relaxed);
}

}  // namespace

Status Capture(Captured* captured, const CaptureOptions& options) {
  std::lock_guard<std::mutex> lock(g_lock);
  AdoptProcess();
  if (!g_captured.Add(captured)) return {Code::kFull, 0, "capture"};
  // Relaxed: a limit that publishes nothing.
  g_limit_ms.store(options.limit_ms, std::memory_order_relaxed);
  FindTrapFunction();
  for (int signal = 1; signal < kSignals; signal++) {
    const bool is_asked = options.signals == 0 ? IsFatal(signal) || captured->marks[signal].cell != Flusher::kNoCell
                                               : (options.signals & SetOf(signal)) != 0;
    const bool is_unasked = options.signals == 0 && IsPolite(signal) && !is_asked;
    if (!is_asked && !is_unasked) continue;
    const bool was_installed = (g_installed.load(std::memory_order_relaxed) & SetOf(signal)) != 0;  // written under the lock only
    if (is_unasked && was_installed) continue;
    // Relaxed, both: a set of bits that publishes nothing but itself.
    if (is_unasked) g_unasked.fetch_or(SetOf(signal), std::memory_order_relaxed);
    if (is_asked) g_unasked.fetch_and(~SetOf(signal), std::memory_order_relaxed);
    // One that nobody asked for or marked and that is ignored, as SIGHUP under nohup, can neither kill nor be counted: a handler
    // would only interrupt calls.
    Install(signal, options.leave_ignored || is_unasked);
  }
  return {};
}

bool Release(Captured* captured) {
  std::lock_guard<std::mutex> lock(g_lock);
  g_captured.Remove(captured);
  if (!g_captured.has_any()) {
    const SignalSet installed = g_installed.load(std::memory_order_relaxed);  // written under the lock only
    for (int signal = 1; signal < kSignals; signal++) {
      if ((installed & SetOf(signal)) != 0 && !(signal == SIGBUS && AreRegionsGuarded())) Uninstall(signal);
    }
    if (AreRegionsGuarded()) {
      g_unasked.fetch_or(SetOf(SIGBUS), std::memory_order_relaxed);  // a set of bits
      struct sigaction now;
      if (sigaction(SIGBUS, nullptr, &now) == 0 && IsOurs(now)) Install(SIGBUS, false);
    }
  }
  // A handler that saw the store before is still at it.
  return g_captured.gate().AwaitEmptyWhile([](int waited_ms) {
    // Relaxed: it publishes nothing.
    return waited_ms < (g_crashed_thread.load(std::memory_order_relaxed) != 0 ? kReleaseInCrashMs : kReleaseMs);
  });
}

Status Guard(Region* region) {
  std::lock_guard<std::mutex> lock(g_lock);
  AdoptProcess();
  if (Status status = GuardRegion(region); !status.ok()) return status;
  if ((g_installed.load(std::memory_order_relaxed) & SetOf(SIGBUS)) == 0) {  // written under the lock only
    FindTrapFunction();
    g_unasked.fetch_or(SetOf(SIGBUS), std::memory_order_relaxed);  // a set of bits that publishes nothing but itself
    Install(SIGBUS, false);
  }
  return {};
}

void Unguard(Region* region) {
  std::lock_guard<std::mutex> lock(g_lock);
  UnguardRegion(region);
  if (!AreRegionsGuarded() && !g_captured.has_any()) Uninstall(SIGBUS);
}

void CountDegraded(Captured& captured) {
  if (!captured.cells->region().is_degraded()) return;
  // Relaxed: once, by whoever comes first; it publishes nothing.
  if (captured.degraded_is_counted.exchange(true, std::memory_order_relaxed)) return;
  if (captured.error_cell != Flusher::kNoCell) AddShared(captured.cells->Shared(captured.error_cell), 1);
}

SignalSet Displaced() {
  // Sets that are a moment old will do.
  const SignalSet installed = g_installed.load(std::memory_order_relaxed) & ~g_unasked.load(std::memory_order_relaxed);
  SignalSet displaced = 0;
  for (int signal = 1; signal < kSignals; signal++) {
    struct sigaction now;
    if ((installed & SetOf(signal)) == 0 || sigaction(signal, nullptr, &now) != 0 || IsOurs(now)) continue;
    if (SiblingOf(now) == nullptr) displaced |= SetOf(signal);
  }
  return displaced;
}

void Retake(SignalSet signals) {
  std::lock_guard<std::mutex> lock(g_lock);
  if (!g_process.IsHere()) return;
  const SignalSet displaced = Displaced() & signals;
  for (int signal = 1; signal < kSignals; signal++) {
    if ((displaced & SetOf(signal)) != 0) Install(signal, false);
  }
}

void ReviveIfSurvived() {
  if (g_crashed_thread.load(std::memory_order_relaxed) == 0) return;  // the usual case; a moment late is early enough
  // Not waited for: this may be a flush of exit(), in a signal handler that interrupted the one who has the lock.
  const std::unique_lock<std::mutex> lock(g_lock, std::try_to_lock);
  if (!lock.owns_lock()) return;
  const int64_t done_ms = g_crash_done_ms.load(std::memory_order_acquire);  // pairs with the release store in HandleDeath
  if (done_ms == 0 || MonotonicMs() - done_ms < kSurvivedMs) return;
  const SignalSet installed = g_installed.load(std::memory_order_relaxed);  // written under the lock only
  for (int signal = 1; signal < kSignals; signal++) {
    if ((installed & SetOf(signal)) != 0) Install(signal, false);
  }
  ForEachCaptured([](Captured& captured) {
    captured.flusher->Revive();
    captured.cells->region().header().state.store(static_cast<uint32_t>(RegionState::kRunning), std::memory_order_release);
  });
  g_crash_done_ms.store(0, std::memory_order_relaxed);
  g_crashed_thread.store(0, std::memory_order_release);  // last: the next crash finds everything as it was
}

}  // namespace vmm

const vmm::Sibling vmm_metrics_sibling = {
    sizeof(vmm::Sibling), 0, vmm::HandleSignal, vmm::IsDeadlyHere, vmm::RepairHere, vmm::VisitOpenStores, vmm::NoteFirst};

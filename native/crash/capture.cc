#include "crash/capture.h"

#include <dlfcn.h>

#include <atomic>
#include <mutex>

#include "base/clock.h"
#include "base/signal_mask.h"
#include "crash/capture_state.h"
#include "crash/handler.h"
#include "crash/sibling.h"
#include "region/region_guard.h"

namespace vmm {

namespace {

// How long the release of a store waits for handlers: those that only count return soon, if they are not kept from the
// processor; one that sends last lines never comes back.
constexpr int kReleaseMs = 10'000;
constexpr int kReleaseInCrashMs = 200;

std::mutex g_lock;

// Our handler as it is to stand above `below`.
struct sigaction OursAbove(int signal, const struct sigaction& below) {
  struct sigaction ours = {};
  ours.sa_sigaction = HandleSignal;
  ours.sa_flags = SA_SIGINFO | (below.sa_flags & (SA_NOCLDSTOP | SA_NOCLDWAIT));
  const bool is_for_repairs = signal == SIGBUS && (g_capture.by_default.load(std::memory_order_relaxed) & SetOf(signal)) != 0;
  if (IsFunction(below) && (below.sa_flags & SA_RESETHAND) == 0 && (!IsFatal(signal) || is_for_repairs)) {
    // We call it ourselves: on which stack it runs, what it blocks, and whether a system call is interrupted, stays as
    // it was asked for.
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

// Puts our handler above what is there; or, where it is there already, as it is to be by now (see
// g_capture.by_default).
void Install(int signal, bool leave_ignored) {
  struct sigaction now = {};
  if (sigaction(signal, nullptr, &now) != 0) return;
  if (!IsOurs(now)) {
    if (leave_ignored && IsIgnored(now)) return;
    NoteDisposition(signal, now, SiblingOf(now));
  }
  const struct sigaction ours = OursAbove(signal, DispositionAt(signal, 0)->action);
  if (sigaction(signal, &ours, nullptr) == 0)
    g_capture.installed.fetch_or(SetOf(signal), std::memory_order_relaxed);  // under the lock
}

void Uninstall(int signal) {
  struct sigaction now;
  if (sigaction(signal, nullptr, &now) == 0 && IsOurs(now)) sigaction(signal, &DispositionAt(signal, 0)->action, nullptr);
  g_capture.installed.fetch_and(~SetOf(signal), std::memory_order_relaxed);  // under the lock
}

void AdoptProcess() {
  if (g_capture.process.IsSameProcess()) return;
  // A forked child: what was captured is its parent's.
  g_capture.captured.Reset();
  // And so is a crash of the parent's, also one that it survived. Relaxed, both: nothing else runs here.
  g_capture.crashed_thread.store(0, std::memory_order_relaxed);
  g_capture.crash_done_ms.store(0, std::memory_order_relaxed);
  SignalMask::ForgetAll();
  g_capture.process.Set();
}

void FindTrapFunction() {
  // Looked up here, not in the handler: dlsym takes locks. Relaxed: the handler that reads it is installed after this.
  g_capture.trap_function.store(
      reinterpret_cast<TrapFunction>(dlsym(RTLD_DEFAULT, "_ZN2v829TryHandleWebAssemblyTrapPosixEiP9siginfo_tPv")),
      std::memory_order_relaxed);
}

}  // namespace

Status Capture(Captured* captured, const CaptureOptions& options) {
  std::lock_guard<std::mutex> lock(g_lock);
  AdoptProcess();
  if (!g_capture.captured.Add(captured)) return {Code::kFull, 0, "capture"};
  // Relaxed: a limit that publishes nothing.
  g_capture.limit_ms.store(options.limit_ms, std::memory_order_relaxed);
  FindTrapFunction();
  for (int signal = 1; signal < kSignals; signal++) {
    const bool is_asked = options.signals == 0 ? IsFatal(signal) || captured->marks[signal].cell != Flusher::kNoCell
                                               : (options.signals & SetOf(signal)) != 0;
    const bool is_unasked = options.signals == 0 && IsTermination(signal) && !is_asked;
    if (!is_asked && !is_unasked) continue;
    const bool was_installed =
        (g_capture.installed.load(std::memory_order_relaxed) & SetOf(signal)) != 0;  // written under the lock only
    if (is_unasked && was_installed) continue;
    // Relaxed, both: a set of bits that publishes nothing but itself.
    if (is_unasked) g_capture.by_default.fetch_or(SetOf(signal), std::memory_order_relaxed);
    if (is_asked) g_capture.by_default.fetch_and(~SetOf(signal), std::memory_order_relaxed);
    // One that nobody asked for or marked and that is ignored, as SIGHUP under nohup, can neither kill nor be counted:
    // a handler would only interrupt calls.
    Install(signal, options.leave_ignored || is_unasked);
  }
  return {};
}

bool Release(Captured* captured) {
  std::lock_guard<std::mutex> lock(g_lock);
  g_capture.captured.Remove(captured);
  if (!g_capture.captured.has_any()) {
    const SignalSet installed = g_capture.installed.load(std::memory_order_relaxed);  // written under the lock only
    for (int signal = 1; signal < kSignals; signal++) {
      if ((installed & SetOf(signal)) != 0 && !(signal == SIGBUS && AreRegionsGuarded())) Uninstall(signal);
    }
    if (AreRegionsGuarded()) {
      g_capture.by_default.fetch_or(SetOf(SIGBUS), std::memory_order_relaxed);  // a set of bits
      struct sigaction now;
      if (sigaction(SIGBUS, nullptr, &now) == 0 && IsOurs(now)) Install(SIGBUS, false);
    }
  }
  // A handler that saw the store before is still at it.
  return g_capture.captured.gate().AwaitEmptyWhile([](int waited_ms) {
    // Relaxed: it publishes nothing.
    return waited_ms < (g_capture.crashed_thread.load(std::memory_order_relaxed) != 0 ? kReleaseInCrashMs : kReleaseMs);
  });
}

Status Guard(Region* region) {
  std::lock_guard<std::mutex> lock(g_lock);
  AdoptProcess();
  if (Status status = GuardRegion(region); !status.ok()) return status;
  if ((g_capture.installed.load(std::memory_order_relaxed) & SetOf(SIGBUS)) == 0) {  // written under the lock only
    FindTrapFunction();
    g_capture.by_default.fetch_or(SetOf(SIGBUS), std::memory_order_relaxed);  // a set of bits that publishes nothing but itself
    Install(SIGBUS, false);
  }
  return {};
}

void Unguard(Region* region) {
  std::lock_guard<std::mutex> lock(g_lock);
  UnguardRegion(region);
  if (!AreRegionsGuarded() && !g_capture.captured.has_any()) Uninstall(SIGBUS);
}

SignalSet Displaced() {
  // Sets that are a moment old will do.
  const SignalSet installed =
      g_capture.installed.load(std::memory_order_relaxed) & ~g_capture.by_default.load(std::memory_order_relaxed);
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
  if (!g_capture.process.IsSameProcess()) return;
  const SignalSet displaced = Displaced() & signals;
  for (int signal = 1; signal < kSignals; signal++) {
    if ((displaced & SetOf(signal)) != 0) Install(signal, false);
  }
}

void ReviveIfSurvived() {
  if (g_capture.crashed_thread.load(std::memory_order_relaxed) == 0) return;  // the usual case; a moment late is early enough
  // Not waited for: this may be a flush of exit(), in a signal handler that interrupted the one who has the lock.
  const std::unique_lock<std::mutex> lock(g_lock, std::try_to_lock);
  if (!lock.owns_lock()) return;
  const int64_t done_ms = g_capture.crash_done_ms.load(std::memory_order_acquire);  // pairs with the release store in HandleDeath
  if (done_ms == 0 || MonotonicMs() - done_ms < kSurvivedMs) return;
  const SignalSet installed = g_capture.installed.load(std::memory_order_relaxed);  // written under the lock only
  for (int signal = 1; signal < kSignals; signal++) {
    if ((installed & SetOf(signal)) != 0) Install(signal, false);
  }
  g_capture.ForEachCaptured([](Captured& captured) {
    captured.flusher->Revive();
    captured.cells->region().header().state.store(static_cast<uint32_t>(RegionState::kRunning), std::memory_order_release);
  });
  g_capture.crash_done_ms.store(0, std::memory_order_relaxed);
  g_capture.crashed_thread.store(0, std::memory_order_release);  // last: the next crash finds everything as it was
}

}  // namespace vmm

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

// How long Release waits for handlers. A handler that only counts returns soon, unless its thread gets no processor
// time. A handler that sends last lines never returns.
constexpr int kReleaseMs = 10'000;
constexpr int kReleaseInCrashMs = 200;

std::mutex g_lock;

// The argument of sigaction() that puts our handler above `below`.
struct sigaction OursAbove(int signal, const struct sigaction& below) {
  struct sigaction ours = {};
  ours.sa_sigaction = HandleSignal;
  ours.sa_flags = SA_SIGINFO | (below.sa_flags & (SA_NOCLDSTOP | SA_NOCLDWAIT));
  const bool is_for_repairs =
      signal == SIGBUS && (g_capture.captured_by_default.load(std::memory_order_relaxed) & SetOf(signal)) != 0;
  if (IsFunction(below) && (below.sa_flags & SA_RESETHAND) == 0 && (!IsFatal(signal) || is_for_repairs)) {
    // Our handler only counts the signal and calls this one, so the stack, the mask and SA_RESTART stay as the host
    // chose them.
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
    // The handler of one SIGBUS may itself read a region that has lost memory. That second SIGBUS must not wait either.
    ours.sa_flags |= SA_NODEFER;
    sigdelset(&ours.sa_mask, SIGBUS);
  }
  return ours;
}

// Puts our handler above the current one. If our handler is the current one, updates its flags and mask, which depend
// on g_capture.captured_by_default.
void Install(int signal, bool leave_ignored) {
  struct sigaction now = {};
  if (sigaction(signal, nullptr, &now) != 0) return;  // SIGKILL, SIGSTOP, or a signal that the C library keeps for itself
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
  // A forked child: the targets are its parent's.
  g_capture.targets.Reset();
  // A crash of the parent, even one that the parent survived, is not a crash of the child. Relaxed, both: the child has
  // no targets yet, so no handler reads them.
  g_capture.crashed_thread.store(0, std::memory_order_relaxed);
  g_capture.crash_done_ms.store(0, std::memory_order_relaxed);
  SignalMask::ForgetAll();
  g_capture.process.Set();
}

void FindTrapFunction() {
  // Looked up here and not in the handler, since dlsym takes locks. Relaxed: it publishes nothing; the handler that
  // reads it is installed after this.
  g_capture.trap_function.store(
      reinterpret_cast<TrapFunction>(dlsym(RTLD_DEFAULT, "_ZN2v829TryHandleWebAssemblyTrapPosixEiP9siginfo_tPv")),
      std::memory_order_relaxed);
}

}  // namespace

Status Capture(CaptureTarget* target, const CaptureOptions& options) {
  std::lock_guard<std::mutex> lock(g_lock);
  AdoptProcess();
  if (!g_capture.targets.Add(target)) return {Code::kTooManyCaptured};
  // Relaxed: a limit that publishes nothing.
  g_capture.limit_ms.store(options.limit_ms, std::memory_order_relaxed);
  FindTrapFunction();
  for (int signal = 1; signal < kSignals; signal++) {
    const bool is_requested =
        options.signals == 0 ? IsFatal(signal) || target->marks[signal].cell != kNoCell : (options.signals & SetOf(signal)) != 0;
    const bool is_by_default = options.signals == 0 && IsTermination(signal) && !is_requested;
    if (!is_requested && !is_by_default) continue;
    const bool was_installed =
        (g_capture.installed.load(std::memory_order_relaxed) & SetOf(signal)) != 0;  // written under the lock only
    if (is_by_default && was_installed) continue;
    // Relaxed, both: a set of bits that publishes nothing but itself.
    if (is_by_default) g_capture.captured_by_default.fetch_or(SetOf(signal), std::memory_order_relaxed);
    if (is_requested) g_capture.captured_by_default.fetch_and(~SetOf(signal), std::memory_order_relaxed);
    // An ignored signal, such as SIGHUP under nohup, neither kills nor counts if nobody requested or marked it. A
    // handler would only interrupt system calls.
    Install(signal, options.leave_ignored || is_by_default);
  }
  return {};
}

bool Release(CaptureTarget* target) {
  std::lock_guard<std::mutex> lock(g_lock);
  g_capture.targets.Remove(target);
  if (!g_capture.targets.has_any()) {
    const SignalSet installed = g_capture.installed.load(std::memory_order_relaxed);  // written under the lock only
    for (int signal = 1; signal < kSignals; signal++) {
      if ((installed & SetOf(signal)) != 0 && !(signal == SIGBUS && AreRegionsGuarded())) Uninstall(signal);
    }
    if (AreRegionsGuarded()) {
      g_capture.captured_by_default.fetch_or(SetOf(SIGBUS), std::memory_order_relaxed);  // a set of bits
      struct sigaction now;
      if (sigaction(SIGBUS, nullptr, &now) == 0 && IsOurs(now)) Install(SIGBUS, false);
    }
  }
  // Wait for handlers that found the store before Remove.
  return g_capture.targets.gate().AwaitEmptyWhile([](int waited_ms) {
    // Relaxed: this only asks whether a crash has begun; the answer publishes nothing.
    return waited_ms < (g_capture.crashed_thread.load(std::memory_order_relaxed) != 0 ? kReleaseInCrashMs : kReleaseMs);
  });
}

Status Guard(Region* region) {
  std::lock_guard<std::mutex> lock(g_lock);
  AdoptProcess();
  if (Status status = GuardRegion(region); !status.ok()) return status;
  if ((g_capture.installed.load(std::memory_order_relaxed) & SetOf(SIGBUS)) == 0) {  // written under the lock only
    FindTrapFunction();
    g_capture.captured_by_default.fetch_or(SetOf(SIGBUS),
                                           std::memory_order_relaxed);  // a set of bits that publishes nothing but itself
    Install(SIGBUS, false);
  }
  return {};
}

void Unguard(Region* region) {
  std::lock_guard<std::mutex> lock(g_lock);
  UnguardRegion(region);
  if (!AreRegionsGuarded() && !g_capture.targets.has_any()) Uninstall(SIGBUS);
}

SignalSet Displaced() {
  // Relaxed, both: the sets publish nothing, and may be a moment old.
  const SignalSet installed =
      g_capture.installed.load(std::memory_order_relaxed) & ~g_capture.captured_by_default.load(std::memory_order_relaxed);
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
  if (g_capture.crashed_thread.load(std::memory_order_relaxed) == 0) return;  // publishes nothing; the next flush looks again
  // This does not wait for the lock: a signal handler on the thread that has the lock may have called exit(), which
  // flushes.
  const std::unique_lock<std::mutex> lock(g_lock, std::try_to_lock);
  if (!lock.owns_lock()) return;
  const int64_t done_ms = g_capture.crash_done_ms.load(std::memory_order_acquire);  // pairs with the release store in HandleDeath
  if (done_ms == 0 || MonotonicMs() - done_ms < kSurvivedMs) return;
  const SignalSet installed = g_capture.installed.load(std::memory_order_relaxed);  // written under the lock only
  for (int signal = 1; signal < kSignals; signal++) {
    if ((installed & SetOf(signal)) != 0) Install(signal, false);
  }
  g_capture.ForEachTarget([](CaptureTarget& target) {
    target.sender->Revive();
    // Release: as every store to the state; it publishes nothing new.
    target.cells->region().header().state.store(static_cast<uint32_t>(RegionState::kRunning), std::memory_order_release);
  });
  g_capture.crash_done_ms.store(0, std::memory_order_relaxed);  // published by the next store
  // Release: pairs with the exchange in HandleDeath. It comes last, so that the next crash finds everything revived.
  g_capture.crashed_thread.store(0, std::memory_order_release);
}

}  // namespace vmm

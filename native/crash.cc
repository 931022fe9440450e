#include "crash.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

namespace vmm {

namespace {

constexpr int kFatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP};
// How long a dying process waits for a sink, all told; the whole death stays under a second.
constexpr int kLastLineMs = 500;
// How long a thread that crashes second waits for the first one's line and for death.
constexpr int kOtherCrashMs = 900;

using TrapFunction = bool (*)(int, siginfo_t*, void*);

// All of it is per process. The handler reads what Capture published before it installed the handler.
std::mutex g_lock;
std::atomic<Captured*> g_captured[kCapturedMax];
struct sigaction g_earlier[kSignals];
bool g_installed[kSignals];
std::atomic<pid_t> g_process{0};
std::atomic<TrapFunction> g_trap_function{nullptr};
// The thread that has the crash; 0 while nobody died. Never reset: a process dies once.
std::atomic<pid_t> g_crashed_thread{0};
// How many handlers are looking at g_captured, so that Release can wait for them.
std::atomic<int> g_looking{0};

void HandleSignal(int signal, siginfo_t* info, void* context);

bool IsFatal(int signal) {
  for (const int fatal : kFatal) {
    if (fatal == signal) return true;
  }
  return false;
}

// Whether returning from the handler runs the faulting instruction again, which then dies of the earlier disposition.
bool IsRetried(int signal, const siginfo_t* info) {
  return info->si_code > 0 && (signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE);
}

bool IsHarmlessByDefault(int signal) { return signal == SIGCHLD || signal == SIGURG || signal == SIGWINCH || signal == SIGCONT; }

bool IsStopByDefault(int signal) { return signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU; }

// gettid(2) by number: the wrapper is missing in older C libraries, and caching it would need a thread_local, whose first use
// in a dlopened library may allocate.
pid_t ThreadId() { return static_cast<pid_t>(syscall(SYS_gettid)); }

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
  // Sequentially consistent, with Release: either it sees this count, or this handler sees the empty place.
  g_looking.fetch_add(1, std::memory_order_seq_cst);
  for (std::atomic<Captured*>& place : g_captured) {
    Captured* captured = place.load(std::memory_order_seq_cst);
    if (captured != nullptr) visit(*captured);
  }
  g_looking.fetch_sub(1, std::memory_order_seq_cst);
}

void WriteRecord(Captured& captured, int signal, const siginfo_t* info, pid_t thread) {
  RegionHeader& header = captured.cells->region().header();
  CrashRecord& record = header.crash;
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  record.code = info->si_code;
  record.address = IsRetried(signal, info) ? reinterpret_cast<uint64_t>(info->si_addr) : 0;
  record.thread_id = thread;
  record.realtime_ns = static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
  // Release: publishes the record's other fields to who reads a signal other than 0.
  record.signal.store(static_cast<uint32_t>(signal), std::memory_order_release);
  header.state.store(static_cast<uint32_t>(RegionState::kCrashed), std::memory_order_release);  // likewise
}

bool IsOurs(const struct sigaction& action) { return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == HandleSignal; }

// Puts the earlier disposition in our place and lets the signal meet it. With `force`, even when somebody else's handler stands
// above ours: that one has had its turn.
void PassOn(int signal, siginfo_t* info, bool force) {
  struct sigaction now;
  sigaction(signal, nullptr, &now);
  if (!IsOurs(now) && !force) return;  // who called us goes on
  const struct sigaction& earlier = g_earlier[signal];
  sigaction(signal, &earlier, nullptr);
  if (IsRetried(signal, info)) return;  // the fault happens again
  const bool dies = (earlier.sa_flags & SA_SIGINFO) == 0 && earlier.sa_handler == SIG_DFL;
  // The init process of a container is never killed by a signal it sends itself.
  if (dies && getpid() == 1) _exit(128 + signal);
  // Once more, with what came with it; it is blocked here and comes when this handler returns.
  if (syscall(SYS_rt_tgsigqueueinfo, getpid(), ThreadId(), signal, info) != 0) {
    syscall(SYS_tgkill, getpid(), ThreadId(), signal);
  }
}

void WaitForDeath() {
  for (int waited_ms = 0; waited_ms < kOtherCrashMs; waited_ms += 10) {
    const timespec pause = {0, 10'000'000};
    nanosleep(&pause, nullptr);
  }
}

// A signal that does not mean death by itself: counted, and left to what would have become of it. False when that is death.
bool HandleHarmless(int signal, siginfo_t* info, void* context) {
  const struct sigaction& earlier = g_earlier[signal];
  const bool has_function =
      (earlier.sa_flags & SA_SIGINFO) != 0 || (earlier.sa_handler != SIG_DFL && earlier.sa_handler != SIG_IGN);
  const bool ignored = !has_function && earlier.sa_handler == SIG_IGN;
  if (IsRetried(signal, info)) return false;  // the kernel kills even a process that ignores it
  if (IsFatal(signal) ? !ignored : !has_function && !ignored && !IsHarmlessByDefault(signal) && !IsStopByDefault(signal))
    return false;

  ForEachCaptured([&](Captured& captured) { CountIn(captured, signal); });
  if (has_function) {
    if ((earlier.sa_flags & SA_SIGINFO) != 0) {
      earlier.sa_sigaction(signal, info, context);
    } else {
      earlier.sa_handler(signal);
    }
  } else if (!ignored && IsStopByDefault(signal)) {
    kill(getpid(), SIGSTOP);
  }
  return true;
}

// In the order of rising risk. Tried and dropped: a jump out of the handler (the fault must happen again to give the right
// core), a helper thread that writes (it can be the one that crashed), formatting before the once-guard (two threads would
// write).
void HandleSignal(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  // A WebAssembly trap is a RuntimeError to come. V8 knows its own traps for SIGSEGV only.
  const TrapFunction trap_function = g_trap_function.load(std::memory_order_relaxed);  // set before the handler was
  if (signal == SIGSEGV && trap_function != nullptr && trap_function(signal, info, context)) {
    errno = saved_errno;
    return;
  }
  // A forked child shares the parent's cells and sink, and has no business with either.
  if (getpid() != g_process.load(std::memory_order_relaxed)) {
    PassOn(signal, info, true);
    errno = saved_errno;
    return;
  }
  if (HandleHarmless(signal, info, context)) {
    errno = saved_errno;
    return;
  }
  const pid_t thread = ThreadId();
  pid_t crashed = 0;
  // Acquire-release: one thread wins; it publishes nothing by it.
  if (!g_crashed_thread.compare_exchange_strong(crashed, thread, std::memory_order_acq_rel)) {
    if (crashed != thread) WaitForDeath();
    PassOn(signal, info, true);
    errno = saved_errno;
    return;
  }
  ForEachCaptured([&](Captured& captured) {
    WriteRecord(captured, signal, info, thread);
    CountIn(captured, signal);
  });
  // Riskier from here on: everything below reads the program and the devices, and writes to the sink.
  ForEachCaptured([](Captured& captured) { captured.flusher->LastLine(kLastLineMs); });
  PassOn(signal, info, false);
  errno = saved_errno;
}

void Install(int signal) {
  // Whoever stands above ours by now hands on to it: to go above him would make a ring.
  if (g_installed[signal]) return;
  struct sigaction now;
  if (sigaction(signal, nullptr, &now) != 0) return;
  struct sigaction ours = {};
  ours.sa_sigaction = HandleSignal;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigfillset(&ours.sa_mask);
  // A fault inside the handler must not wait for the handler.
  for (const int fatal : kFatal) sigdelset(&ours.sa_mask, fatal);
  g_earlier[signal] = now;
  sigaction(signal, &ours, nullptr);
  g_installed[signal] = true;
}

void Uninstall(int signal) {
  struct sigaction now;
  if (sigaction(signal, nullptr, &now) != 0 || !IsOurs(now)) return;
  sigaction(signal, &g_earlier[signal], nullptr);
  g_installed[signal] = false;
}

}  // namespace

Status Capture(Captured* captured) {
  std::lock_guard<std::mutex> lock(g_lock);
  std::atomic<Captured*>* free_place = nullptr;
  for (std::atomic<Captured*>& place : g_captured) {
    Captured* there = place.load(std::memory_order_relaxed);  // written under the lock only
    if (there == captured) return {};
    if (there == nullptr && free_place == nullptr) free_place = &place;
  }
  if (free_place == nullptr) return {Code::kFull, 0, "capture"};
  g_process.store(getpid(), std::memory_order_relaxed);
  // Looked up here, not in the handler: dlsym takes locks.
  g_trap_function.store(
      reinterpret_cast<TrapFunction>(dlsym(RTLD_DEFAULT, "_ZN2v829TryHandleWebAssemblyTrapPosixEiP9siginfo_tPv")),
      std::memory_order_relaxed);
  // Release: publishes the store to handlers.
  free_place->store(captured, std::memory_order_seq_cst);
  for (int signal = 1; signal < kSignals; signal++) {
    if (IsFatal(signal) || captured->marks[signal].cell != Flusher::kNoCell) Install(signal);
  }
  return {};
}

void Release(Captured* captured) {
  std::lock_guard<std::mutex> lock(g_lock);
  bool any_left = false;
  for (std::atomic<Captured*>& place : g_captured) {
    if (place.load(std::memory_order_relaxed) == captured) {  // written under the lock only
      place.store(nullptr, std::memory_order_seq_cst);
    } else if (place.load(std::memory_order_relaxed) != nullptr) {
      any_left = true;
    }
  }
  if (!any_left) {
    for (int signal = 1; signal < kSignals; signal++) {
      if (g_installed[signal]) Uninstall(signal);
    }
  }
  // A handler that saw the store before is still at it. A crashing one never comes back here, and needs not be waited for long.
  for (int waited_ms = 0; g_looking.load(std::memory_order_seq_cst) != 0 && waited_ms < 2000; waited_ms++) {
    const timespec pause = {0, 1'000'000};
    nanosleep(&pause, nullptr);
  }
}

}  // namespace vmm

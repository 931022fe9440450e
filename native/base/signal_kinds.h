// The kinds of signals: which are fatal, which request termination, and what each does to a process that does not
// handle it.
//
// Thread-safety:       any thread.
// Async-signal-safety: safe; comparisons and sets only.

#pragma once

#include <signal.h>

#include <cstdint>

namespace vmm {

// A set of signals: bit n - 1 is signal n.
using SignalSet = uint64_t;
constexpr SignalSet SetOf(int signal) { return SignalSet{1} << (signal - 1); }

// A set with one signal, for calls of the C library.
inline sigset_t OnlySignal(int signal) {
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  return only;
}

constexpr int kFatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP};
// Termination requests. They end a process that does not handle them, so they are captured as well.
constexpr int kTermination[] = {SIGTERM, SIGINT, SIGHUP};

inline bool IsFatal(int signal) {
  for (const int fatal : kFatal) {
    if (fatal == signal) return true;
  }
  return false;
}

inline bool IsTermination(int signal) {
  for (const int termination : kTermination) {
    if (termination == signal) return true;
  }
  return false;
}

// Whether the thread's own instruction raised the signal. The kernel then kills even a process that ignores the signal.
inline bool IsForced(int signal, const siginfo_t* info) {
  // BUS_MCEERR_AO only reports a memory error that no instruction has met yet.
  return IsFatal(signal) && info->si_code > 0 && !(signal == SIGBUS && info->si_code == BUS_MCEERR_AO);
}

// Whether the faulting instruction runs again when the handler returns, and so meets the earlier disposition.
inline bool IsRetried(int signal, const siginfo_t* info) {
  return IsForced(signal, info) && (signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE);
}

inline bool IsHarmlessByDefault(int signal) {
  return signal == SIGCHLD || signal == SIGURG || signal == SIGWINCH || signal == SIGCONT;
}

inline bool IsStopByDefault(int signal) { return signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU; }

}  // namespace vmm

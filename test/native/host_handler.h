// A host is a program that uses the library. These functions install the host's own signal handlers.
//
// Thread-safety:       any thread; a disposition belongs to the whole process.
// Async-signal-safety: none.

#pragma once

#include <signal.h>

#include "check.h"

namespace vmm {

// The action of `signal` now.
inline struct sigaction ActionOf(int signal) {
  struct sigaction now = {};
  CHECK_EQ(sigaction(signal, nullptr, &now), 0);
  return now;
}

// Both return the action that `signal` had before.
inline struct sigaction InstallHandler(int signal, void (*handler)(int, siginfo_t*, void*), int flags = 0) {
  struct sigaction host = {}, before = {};
  host.sa_sigaction = handler;
  host.sa_flags = SA_SIGINFO | flags;
  CHECK_EQ(sigaction(signal, &host, &before), 0);
  return before;
}
inline struct sigaction InstallHandler(int signal, void (*handler)(int), int flags = 0) {
  struct sigaction host = {}, before = {};
  host.sa_handler = handler;
  host.sa_flags = flags;
  CHECK_EQ(sigaction(signal, &host, &before), 0);
  return before;
}

}  // namespace vmm

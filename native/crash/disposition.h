// A Disposition is the handler (or SIG_DFL, or SIG_IGN) that a signal had when we installed ours above it. Our handler
// passes the signal on to it.
//
// The dispositions of a signal form a list, the newest first. The list grows when a host installs a handler above ours,
// and we then install ours above the host's. A signal then goes to our handler, from there to the host's handler, back
// to ours if the host's handler calls it, and then to the older disposition.
//
// Thread-safety:       NoteDisposition is called by one thread at a time (the capture lock); the rest by any thread.
// Async-signal-safety: all functions but NoteDisposition are safe.
// Memory ordering:     NoteDisposition publishes a complete disposition with release; readers acquire.
// Lifetime:            per process. A disposition is never changed and never freed, since a handler may still read it.
//                      Equal lists share their dispositions, so a listener that comes and goes for ever uses no more
//                      memory.

#pragma once

#include <signal.h>

namespace vmm {

struct Sibling;

constexpr int kSignals = 65;  // signals are 1 to 64

struct Disposition {
  struct sigaction action;
  const Disposition* older;  // null: this is the first one
  const Sibling* sibling;    // the other copy of this library that the handler belongs to; null: no copy's
};

// The disposition of the signal that is `depth` below the newest one; the first one when there are fewer. Null before
// the first NoteDisposition.
const Disposition* DispositionAt(int signal, int depth);
const Disposition* FirstDisposition(int signal);

// Makes this the newest disposition of the signal.
void NoteDisposition(int signal, const struct sigaction& action, const Sibling* sibling);

inline bool IsFunction(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 || (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
}

inline bool IsDefault(const struct sigaction& action) { return !IsFunction(action) && action.sa_handler == SIG_DFL; }

inline bool IsIgnored(const struct sigaction& action) { return !IsFunction(action) && action.sa_handler == SIG_IGN; }

// Calls the handler of a disposition that is a function.
inline void CallHandler(const Disposition& disposition, int signal, siginfo_t* info, void* context) {
  if ((disposition.action.sa_flags & SA_SIGINFO) != 0) {
    disposition.action.sa_sigaction(signal, info, context);
  } else {
    disposition.action.sa_handler(signal);
  }
}

}  // namespace vmm

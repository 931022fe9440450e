// A Disposition is what stood in our place for a signal when we took it, and what we hand the signal on to.
//
// The dispositions of a signal form a list, the newest first. Somebody who takes our place and hands on to us makes the
// list longer: when we take the place back, our handler stands above theirs, and theirs above our older one.
//
// Thread-safety:       Note is called by one thread at a time (the capture lock); the rest by any.
// Async-signal-safety: all but Note.
// Memory ordering:     Note publishes a complete disposition with release; readers acquire.
// Lifetime:            per process. A disposition is never changed and never freed, since a handler may still read it.
//                      Equal lists share their dispositions, so that a listener that comes and goes for ever costs
//                      nothing.

#pragma once

#include <signal.h>

namespace vmm {

struct Sibling;

constexpr int kSignals = 65;  // signals are 1 to 64

struct Disposition {
  struct sigaction action;
  const Disposition* older;  // null: this was there first
  const Sibling* sibling;    // whose handler it is, when it belongs to another copy of this library
};

// The newest disposition of the signal, or the one `depth` below it; the oldest when there are not so many. Null before
// the first Note.
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

#include "crash/disposition.h"

#include <atomic>

namespace vmm {

namespace {

std::atomic<const Disposition*> g_newest[kSignals];

// Every disposition ever noted for a signal. Read and written under the capture lock.
struct Noted {
  const Disposition* disposition;
  const Noted* next;
};
const Noted* g_noted[kSignals];

// Compares the fields, and the masks signal by signal: the C library leaves arbitrary bits in the rest of a mask.
bool IsSame(const struct sigaction& a, const struct sigaction& b) {
  if (!IsFunction(a) || !IsFunction(b)) return IsFunction(a) == IsFunction(b) && a.sa_handler == b.sa_handler;
  for (int signal = 1; signal < kSignals; signal++) {
    if (sigismember(&a.sa_mask, signal) != sigismember(&b.sa_mask, signal)) return false;
  }
  return a.sa_handler == b.sa_handler && a.sa_flags == b.sa_flags;
}

// Returns the disposition with this action on top of `older`. If there is none yet, makes it.
const Disposition* FindOrMake(int signal, const struct sigaction& action, const Disposition* older, const Sibling* sibling) {
  for (const Noted* noted = g_noted[signal]; noted != nullptr; noted = noted->next) {
    if (noted->disposition->older == older && IsSame(noted->disposition->action, action)) return noted->disposition;
  }
  const Disposition* const made = new Disposition{action, older, sibling};
  g_noted[signal] = new Noted{made, g_noted[signal]};
  return made;
}

}  // namespace

const Disposition* DispositionAt(int signal, int depth) {
  // Acquire: pairs with the release store in NoteDisposition.
  const Disposition* at = g_newest[signal].load(std::memory_order_acquire);
  for (; depth > 0 && at != nullptr && at->older != nullptr; depth--) at = at->older;
  return at;
}

const Disposition* FirstDisposition(int signal) {
  const Disposition* at = DispositionAt(signal, 0);
  while (at != nullptr && at->older != nullptr) at = at->older;
  return at;
}

void NoteDisposition(int signal, const struct sigaction& action, const Sibling* sibling) {
  const Disposition* const newest = g_newest[signal].load(std::memory_order_relaxed);  // written under the capture lock only
  // The action is already in the list: what stood above it was removed.
  for (const Disposition* at = newest; at != nullptr; at = at->older) {
    if (!IsSame(at->action, action)) continue;
    g_newest[signal].store(at, std::memory_order_release);  // publishes nothing new
    return;
  }
  // Release: publishes the disposition to handlers.
  g_newest[signal].store(FindOrMake(signal, action, newest, sibling), std::memory_order_release);
}

}  // namespace vmm

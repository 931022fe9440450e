// A HandlerGate makes it safe to remove a thing that signal handlers use, without a lock that handlers would wait for.
//
// A handler enters the gate, looks the thing up, uses it, and leaves. A thread that removes the thing first hides it,
// so that no handler can find it, and then waits until the gate is empty. These four steps (enter, look up; hide, check
// the gate) are sequentially consistent. So either the handler no longer finds the thing, or the remover sees that a
// handler is inside.
//
// A HandlerTable is a gate together with a fixed number of slots in which handlers look things up.
//
// Thread-safety:       Enter, Leave and ForEachUntil are called by any thread; Add and Remove by one thread at a time,
//                      under the owner's lock; Reset only in a forked child.
// Async-signal-safety: Enter, Leave, ForEachUntil, has_any and is_empty are safe; the others are not.
// Memory ordering:     sequentially consistent, see above. Add publishes a complete thing.
// Lifetime:            the owner's.
// Units:               milliseconds.

#pragma once

#include <atomic>

#include "base/clock.h"

namespace vmm {

class HandlerGate {
 public:
  void Enter() { inside_.fetch_add(1, std::memory_order_seq_cst); }
  void Leave() { inside_.fetch_sub(1, std::memory_order_seq_cst); }
  bool is_empty() const { return inside_.load(std::memory_order_seq_cst) == 0; }

  // Waits without limit until no handler is inside: for things that handlers use only for a moment.
  void AwaitEmpty() const {
    while (!is_empty()) SleepUs(20);
  }

  // Waits as long as `may_wait(waited_ms)` returns true. False: a handler is still inside.
  template <typename MayWait>
  bool AwaitEmptyWhile(MayWait may_wait) const {
    for (int waited_ms = 0; !is_empty(); waited_ms++) {
      if (!may_wait(waited_ms)) return false;
      SleepUs(1'000);
    }
    return true;
  }

  // For a forked child, where no thread is inside.
  void Reset() { inside_.store(0, std::memory_order_seq_cst); }

  class Inside {
   public:
    explicit Inside(HandlerGate& gate) : gate_(gate) { gate_.Enter(); }
    ~Inside() { gate_.Leave(); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    HandlerGate& gate_;
  };

 private:
  std::atomic<int> inside_{0};
};

template <typename Thing, int kSlots>
class HandlerTable {
 public:
  // False: all slots are taken. For a thing that is in the table already: true, and nothing changes.
  bool Add(Thing* thing) {
    std::atomic<Thing*>* free = nullptr;
    for (std::atomic<Thing*>& slot : slots_) {
      Thing* const current = slot.load(std::memory_order_relaxed);  // written under the owner's lock only
      if (current == thing) return true;
      if (current == nullptr && free == nullptr) free = &slot;
    }
    if (free != nullptr) free->store(thing, std::memory_order_seq_cst);
    return free != nullptr;
  }

  // No handler finds the thing after this. A handler that found it before may still be inside the gate.
  void Remove(const Thing* thing) {
    for (std::atomic<Thing*>& slot : slots_) {
      // Relaxed: written under the owner's lock only.
      if (slot.load(std::memory_order_relaxed) == thing) slot.store(nullptr, std::memory_order_seq_cst);
    }
  }

  // Relaxed: this does not follow the pointers, so nothing needs to be published.
  bool has_any() const {
    for (const std::atomic<Thing*>& slot : slots_) {
      if (slot.load(std::memory_order_relaxed) != nullptr) return true;
    }
    return false;
  }

  // Calls `visit` for each thing until a call returns true. Returns whether a call did.
  template <typename Visit>
  bool ForEachUntil(Visit visit) {
    const HandlerGate::Inside inside(gate_);
    for (std::atomic<Thing*>& slot : slots_) {
      Thing* const thing = slot.load(std::memory_order_seq_cst);
      if (thing != nullptr && visit(*thing)) return true;
    }
    return false;
  }

  const HandlerGate& gate() const { return gate_; }

  // For a forked child, where no handler and no other thread runs.
  void Reset() {
    for (std::atomic<Thing*>& slot : slots_) slot.store(nullptr, std::memory_order_seq_cst);
    gate_.Reset();
  }

 private:
  std::atomic<Thing*> slots_[kSlots] = {};
  HandlerGate gate_;
};

}  // namespace vmm

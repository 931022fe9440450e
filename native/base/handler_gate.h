// A HandlerGate lets somebody take away what signal handlers use, without a lock that a handler would wait for.
//
// A handler enters the gate, looks for the thing, uses it, and leaves. Whoever removes the thing makes it impossible to
// find, and then waits until the gate is empty. Entering and looking on one side, hiding and asking on the other, are
// all sequentially consistent: so either the handler does not find the thing any more, or the remover sees that
// somebody is inside.
//
// A HandlerTable is a gate with the places in which handlers look.
//
// Thread-safety:       Enter, Leave and ForEach by any thread; Add and Remove by one thread at a time, under the
//                      owner's lock.
// Async-signal-safety: Enter, Leave, ForEach and is_empty are safe.
// Memory ordering:     sequentially consistent throughout, see above. What a place holds is complete before Add.
// Lifetime:            per process, or as its owner.
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

  // Waits until nobody is inside, as long as that takes: for what handlers use only for a moment.
  void AwaitEmpty() const {
    while (!is_empty()) SleepUs(20);
  }

  // The same while `may_wait(waited_ms)` allows. False: somebody is still inside.
  template <typename MayWait>
  bool AwaitEmptyWhile(MayWait may_wait) const {
    for (int waited_ms = 0; !is_empty(); waited_ms++) {
      if (!may_wait(waited_ms)) return false;
      SleepUs(1'000);
    }
    return true;
  }

  // In a forked child, where nobody is inside.
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

template <typename Thing, int kPlaces>
class HandlerTable {
 public:
  // False: there is no place left. Again for a thing that is there: true, and nothing changes.
  bool Add(Thing* thing) {
    std::atomic<Thing*>* free = nullptr;
    for (std::atomic<Thing*>& place : places_) {
      Thing* const there = place.load(std::memory_order_relaxed);  // written under the owner's lock only
      if (there == thing) return true;
      if (there == nullptr && free == nullptr) free = &place;
    }
    if (free != nullptr) free->store(thing, std::memory_order_seq_cst);
    return free != nullptr;
  }

  // No handler finds it any more; one that found it before may still be inside the gate.
  void Remove(const Thing* thing) {
    for (std::atomic<Thing*>& place : places_) {
      if (place.load(std::memory_order_relaxed) == thing) place.store(nullptr, std::memory_order_seq_cst);
    }
  }

  // Whether there is anything. Relaxed: what it is does not matter.
  bool has_any() const {
    for (const std::atomic<Thing*>& place : places_) {
      if (place.load(std::memory_order_relaxed) != nullptr) return true;
    }
    return false;
  }

  // Calls `visit` for each thing, until it returns true; says whether it did.
  template <typename Visit>
  bool ForEachUntil(Visit visit) {
    const HandlerGate::Inside inside(gate_);
    for (std::atomic<Thing*>& place : places_) {
      Thing* const thing = place.load(std::memory_order_seq_cst);
      if (thing != nullptr && visit(*thing)) return true;
    }
    return false;
  }

  const HandlerGate& gate() const { return gate_; }

  // In a forked child, where nothing else runs.
  void Reset() {
    for (std::atomic<Thing*>& place : places_) place.store(nullptr, std::memory_order_seq_cst);
    gate_.Reset();
  }

 private:
  std::atomic<Thing*> places_[kPlaces] = {};
  HandlerGate gate_;
};

}  // namespace vmm

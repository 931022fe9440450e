// Leaving follows removed devices until no thread can write to them any more.
//
//   removed ──► lingering ──► leaving ──► let go ──► retired
//
// The devices that a group removed last linger: nothing happens to them until more devices are removed. Then a device
// is leaving. The device then gets a number, the epoch. Each thread that may write to the device is a holder. To let go
// of the device, a holder publishes the epoch that it has seen; each holder does so at some time. Native code that has
// pinned a device holds it too, and so does a profile that samples it.
//
// Thread-safety:       every function is called under the store's lock, except epoch(). A holder stores its own `seen`.
// Async-signal-safety: none.
// Memory ordering:     a holder stores `seen` with release after its last write to a device that is leaving. Take
//                      acquires it, so the thread that retires the device sees that write.
// Lifetime:            a holder's owner keeps it from Add to Remove.

#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "flush/retirement.h"

namespace vmm {

// A thread that may still write to a removed device. The device waits until the thread lets go of it.
struct Holder {
  std::atomic<uint64_t> seen{0};
  // Asks the thread to let go soon. Any thread calls it, under the store's lock; not again before the holder clears
  // `is_called`.
  std::function<void()> call;
  std::atomic<bool> is_called{false};
};

class Leaving {
 public:
  // How many removed devices of a group linger, and how many of the same id. A lingering device keeps its own cells, so
  // increments through its accessors still count as its own.
  static constexpr size_t kLingering = 16;
  static constexpr size_t kLingeringOfOneId = 2;

  explicit Leaving(uint32_t groups) : lingering_(groups) {}

  void Add(Holder* holder);
  void Remove(Holder* holder);

  // A device was removed. If that makes another device leave, all holders but `self` are asked to let go.
  void Note(uint32_t group, const Device* device, const Holder* self);

  // The epoch of the device that began to leave last. Any thread. Relaxed: a thread that acts on it takes the lock.
  uint64_t epoch() const { return epoch_.load(std::memory_order_relaxed); }
  // The devices that began to leave after the epoch that `holder` has seen.
  std::vector<Removed> Since(const Holder& holder) const;

  void Pin(const Device* device) { pins_[device]++; }
  // False: the device is not pinned.
  bool Unpin(const Device* device);

  // A device that was not free may be free now, although there was no commit.
  void AskAgain() { is_to_ask_ = true; }

  // How many devices wait until all holders have let go.
  size_t count() const { return leaving_.size(); }
  bool HasAny() const { return !leaving_.empty() || !waiting_.empty(); }

  // Takes up to `most` devices that every holder has let go of, that nobody has pinned, and for which `is_free` returns
  // true. A device that is not free is checked again after another commit, after an Unpin, or after AskAgain.
  std::vector<Removed> Take(size_t most, uint64_t commit, const std::function<bool(const Removed&)>& is_free);

 private:
  struct Stamped {
    Removed removed;
    uint64_t epoch;
  };

  std::vector<Holder*> holders_;
  std::vector<std::deque<const Device*>> lingering_;
  std::deque<Stamped> leaving_;   // in the order of their epochs
  std::vector<Removed> waiting_;  // all holders have let go of them, but they were not free
  std::map<const Device*, uint32_t> pins_;
  std::atomic<uint64_t> epoch_{0};
  uint64_t asked_commit_ = 0;
  bool is_to_ask_ = false;
};

}  // namespace vmm

// Leaving is who may still write to devices that were removed, and which of them nobody can write to any more.
//
//   removed ──► lingering ──► leaving ──► let go ──► retired
//
// The devices of each group that were removed last linger: nothing happens to them until others follow. Then a device
// is leaving: it has a number, the epoch, and each holder lets go of it in its own time, by saying which epoch it has
// seen. Native code that has pinned the device, and a profile that samples it, hold it too.
//
// Thread-safety:       under the store's lock, but for the atomic members.
// Async-signal-safety: none.
// Memory ordering:     `seen` is stored with release after the holder's thread has written to a leaving device for the
//                      last time; whoever retires the device acquires it. A thread's own plain adds come before.
// Lifetime:            holders are their owners', from Add to Remove.

#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <unordered_map>
#include <vector>

#include "flush/retirement.h"

namespace vmm {

// A thread that may write to devices until it has let go of them.
struct Holder {
  std::atomic<uint64_t> seen{0};
  // Asks the thread to let go soon; called under the store's lock, by any thread. Once until `is_called` is false
  // again.
  std::function<void()> call;
  std::atomic<bool> is_called{false};
};

class Leaving {
 public:
  // How many removed devices of a group linger, and how many of one id. Each keeps its own cells for that long, and
  // what comes through its accessors is its own.
  static constexpr size_t kLingering = 16;
  static constexpr size_t kLingeringOfOneId = 2;

  explicit Leaving(uint32_t groups) : lingering_(groups) {}

  void Add(Holder* holder);
  void Remove(Holder* holder);

  // A device was removed. Holders but `self` are asked to let go of what is leaving now.
  void Note(uint32_t group, const Device* device, const Holder* self);

  // The epoch up to which devices are leaving. Relaxed: who acts on it takes the lock.
  uint64_t epoch() const { return epoch_.load(std::memory_order_relaxed); }
  // What is leaving, after what `holder` has seen.
  std::vector<Removed> Since(const Holder& holder) const;

  void Pin(const Device* device) { pins_[device]++; }
  // False when it is not pinned.
  bool Unpin(const Device* device);

  // What was not free may be free now, though there was no commit.
  void AskAgain() { is_to_ask_ = true; }

  // How many wait for somebody to let go of them.
  size_t count() const { return leaving_.size(); }
  bool HasAny() const { return !leaving_.empty() || !waiting_.empty(); }

  // Takes up to `most` devices that every holder has let go of, and for which `is_free` says true. What is not free is
  // asked for again once there was another commit, or a pin less, or AskAgain.
  std::vector<Removed> Take(size_t most, uint64_t commit, const std::function<bool(const Removed&)>& is_free);

 private:
  struct Stamped {
    Removed removed;
    uint64_t epoch;
  };

  std::vector<Holder*> holders_;
  std::vector<std::deque<const Device*>> lingering_;
  std::deque<Stamped> leaving_;   // in the order of their epochs
  std::vector<Removed> waiting_;  // everybody has let go of them, and they were not free
  std::unordered_map<const Device*, uint32_t> pins_;
  std::atomic<uint64_t> epoch_{0};
  uint64_t asked_commit_ = 0;
  bool is_to_ask_ = false;
};

}  // namespace vmm

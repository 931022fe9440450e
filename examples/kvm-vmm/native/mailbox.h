// The mailbox is all that the vCPU thread and the JS thread share: events for the devices in TypeScript, what these
// give back, and commands. Neither side ever waits for the other.
//
// Thread-safety:   each member says which of the two threads uses it.
// Memory ordering: stated at each atomic.
// Lifetime:        outlives the vCPU thread; the JS thread may go on using it after that has ended.

#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "spsc_ring.h"

namespace kvm_vmm {

constexpr uint32_t kSectorBytes = 512;
constexpr uint32_t kQueueSize = 8;  // disk requests on their way

// What happened to a device that lives in TypeScript. Words, since JavaScript gets them as a Uint32Array: vmm.ts has
// the same list.
enum EventKind : uint32_t {
  kSerialOut = 1,     // a: the byte
  kBlockRequest = 2,  // a: slot, b: 0 read or 1 write, c: sector, d: bytes
  kMmioWrite = 3,     // a: register, b: value
};
struct Event {
  uint32_t kind, a, b, c, d;
};
constexpr uint32_t kEventWords = sizeof(Event) / sizeof(uint32_t);
constexpr uint32_t kMailboxEvents = 4096;

// A disk request between the guest and the device. The data is copied here, so that the JS thread never touches guest
// memory: when its file is truncated, the vCPU thread is the one to find out.
struct BlockSlot {
  enum State : uint32_t { kFree, kAtDevice, kDone };
  // Release by who hands the slot over, acquire by who takes it: publishes the fields below.
  std::atomic<uint32_t> state{kFree};
  uint32_t operation = 0;
  uint32_t address = 0;
  uint32_t bytes = 0;
  bool failed = false;
  std::array<uint8_t, kSectorBytes> data{};
};

class Mailbox {
 public:
  // `wake` makes the JS thread start calling TakeEvents. Called on either thread.
  explicit Mailbox(std::function<void()> wake) : wake_(std::move(wake)) {}

  // --- vCPU thread ---

  // False when the JS thread is too far behind; the event is not taken then.
  bool Post(const Event& event) {
    if (!events_.Push(event)) return false;
    Wake();
    return true;
  }

  // Says why the vCPU ended by itself.
  void PostEnd(std::string reason) {
    end_reason_ = std::move(reason);
    ended_.store(true, std::memory_order_release);  // publishes end_reason_ to EndReason
    Wake();
  }

  bool stop_requested() const { return stop_.load(std::memory_order_relaxed); }  // the join publishes, not the flag
  bool overflow_requested() const { return overflow_.load(std::memory_order_relaxed); }

  // --- JS thread ---

  // Calls `take(event)` for each event there is. After a wake-up this is to be called again and again, since no other
  // wake-up comes until WakeMe: so a busy guest costs a poll a millisecond instead of a system call an event.
  template <typename Take>
  void TakeEvents(Take take) {
    Event event;
    // Bounded, since the vCPU thread posts on.
    for (uint32_t taken = 0; taken < kMailboxEvents && events_.Pop(&event); ++taken) take(event);
  }

  // The next event is to wake again; so does one that has come already.
  void WakeMe() {
    // Acquire: pairs with the exchange in Wake. What was posted before a wake-up that was left out is seen here.
    awake_.exchange(false, std::memory_order_acq_rel);
    if (events_.HasNews() || EndReason() != nullptr) Wake();
  }

  // Why the vCPU ended by itself; null while it runs or when it was told to stop.
  const std::string* EndReason() const { return ended_.load(std::memory_order_acquire) ? &end_reason_ : nullptr; }

  void RequestStop() { stop_.store(true, std::memory_order_relaxed); }
  void RequestOverflow() { overflow_.store(true, std::memory_order_relaxed); }

  // --- both, each in its role ---

  SpscRing<uint8_t, 256> serial_input;      // pushed by the JS thread
  std::array<BlockSlot, kQueueSize> slots;  // handed to and fro by their state
  std::atomic<uint32_t> sectors{0};         // set by the JS thread; relaxed, it publishes nothing but itself

 private:
  void Wake() {
    // None while the JS thread is awake. Release: what was pushed before is published to the exchange in WakeMe.
    if (!awake_.exchange(true, std::memory_order_acq_rel)) wake_();
  }

  SpscRing<Event, kMailboxEvents> events_;  // pushed by the vCPU thread
  std::atomic<bool> awake_{false};
  std::atomic<bool> ended_{false};
  std::atomic<bool> stop_{false};
  std::atomic<bool> overflow_{false};
  std::string end_reason_;
  const std::function<void()> wake_;
};

}  // namespace kvm_vmm

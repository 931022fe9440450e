// The mailbox holds everything that the vCPU thread and the JS thread share: events for the devices in TypeScript, the
// devices' results, and commands. Neither side ever waits for the other.
//
// Thread-safety:   the comment at each member names the thread that uses it.
// Memory ordering: stated at each atomic.
// Lifetime:        outlives the vCPU thread; the JS thread may use it after the vCPU thread has ended.

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
constexpr uint32_t kQueueSize = 8;  // disk requests in flight

// An event for a device in TypeScript. Its fields are 32-bit words, since JavaScript gets a Uint32Array. vmm.ts has the
// same list of kinds.
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

// A disk request on its way between the guest and the device. The data is copied into the slot, so that the JS thread
// never touches guest memory: if the memory file is truncated, only the vCPU thread gets the SIGBUS.
struct BlockSlot {
  enum State : uint32_t { kFree, kAtDevice, kDone };
  // The thread that hands the slot over stores with release; the thread that takes it loads with acquire. The state
  // publishes the fields below.
  std::atomic<uint32_t> state{kFree};
  uint32_t operation = 0;
  uint32_t address = 0;
  uint32_t bytes = 0;
  bool failed = false;
  std::array<uint8_t, kSectorBytes> data{};
};

class Mailbox {
 public:
  // `wake` makes the JS thread start to call TakeEvents. Either thread may call it.
  explicit Mailbox(std::function<void()> wake) : wake_(std::move(wake)) {}

  // --- vCPU thread ---

  // False if the JS thread is too far behind; the event is dropped then.
  bool Post(const Event& event) {
    if (!events_.Push(event)) return false;
    Wake();
    return true;
  }

  // Reports why the vCPU ended by itself.
  void PostEnd(std::string reason) {
    end_reason_ = std::move(reason);
    ended_.store(true, std::memory_order_release);  // publishes end_reason_ to EndReason
    Wake();
  }

  bool stop_requested() const { return stop_.load(std::memory_order_relaxed); }  // the flag publishes nothing; the join does
  bool overflow_requested() const { return overflow_.load(std::memory_order_relaxed); }

  // --- JS thread ---

  // Calls `take(event)` for each event. After a wake-up the caller must poll, since no other wake-up comes until
  // WakeMe. So a busy guest costs one poll per millisecond instead of one system call per event.
  template <typename Take>
  void TakeEvents(Take take) {
    Event event;
    // Bounded, since the vCPU thread goes on posting.
    for (uint32_t taken = 0; taken < kMailboxEvents && events_.Pop(&event); ++taken) take(event);
  }

  // Asks for a wake-up at the next event, or at once if an event is there already.
  void WakeMe() {
    // Acquire: pairs with the exchange in Wake, so that this thread sees the events that were posted without a wake-up.
    awake_.exchange(false, std::memory_order_acq_rel);
    if (events_.HasNews() || EndReason() != nullptr) Wake();
  }

  // Why the vCPU ended by itself; null while it runs, and after a requested stop.
  const std::string* EndReason() const { return ended_.load(std::memory_order_acquire) ? &end_reason_ : nullptr; }

  void RequestStop() { stop_.store(true, std::memory_order_relaxed); }
  void RequestOverflow() { overflow_.store(true, std::memory_order_relaxed); }

  // --- both threads, each in its role ---

  SpscRing<uint8_t, 256> serial_input;      // pushed by the JS thread
  std::array<BlockSlot, kQueueSize> slots;  // each slot's state names the thread that owns it
  std::atomic<uint32_t> sectors{0};         // set by the JS thread; relaxed, it publishes nothing but itself

 private:
  void Wake() {
    // Sends no wake-up while the JS thread is awake. Release: publishes the pushed events to the exchange in WakeMe.
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

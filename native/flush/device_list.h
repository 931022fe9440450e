// A DeviceList holds the devices of one group in the order of the line, for flushes and the crash handler. Hidden
// devices come first (see Devices). A removed device stays in the list until no thread can write to it any more: an
// increment through a stale accessor must still reach the aggregate.
//
// Thread-safety:       Insert and Unlink are called under the store's lock. Any thread may walk a list, except during
//                      an Unlink, which therefore runs only inside Flusher::TryQuiet.
// Async-signal-safety: walking is safe, also in the middle of an Insert; the rest is not.
// Memory ordering:     `next` is stored with release after the device is complete; walkers acquire.
// Lifetime:            a device is freed when it is unlinked, or with its store.

#pragma once

#include <atomic>
#include <cstdint>

namespace vmm {

struct Device {
  std::atomic<Device*> next{nullptr};
  // Relaxed: it publishes nothing, and decides only how the device is shown.
  std::atomic<bool> removed{false};
  bool is_hidden = false;   // it has no key and counts in the aggregate only, as removed devices do
  bool is_linked = false;   // of a hidden device: it is in its list. Under the store's lock
  uint32_t first_cell = 0;  // changes in a hidden device only, inside Flusher::TryQuiet
  uint32_t directory_entry = 0;
  uint64_t number = 0;  // the devices of a store are numbered in the order in which they were made
  // The literal `,"<group>_<id>":{`, owned by Devices.
  const char* key = nullptr;
  uint32_t key_bytes = 0;
};

struct DeviceList {
  std::atomic<Device*> first{nullptr};

  // Links a complete device after `previous`, or first.
  void Insert(Device* device, Device* previous) {
    std::atomic<Device*>& link = previous == nullptr ? first : previous->next;
    device->next.store(link.load(std::memory_order_relaxed), std::memory_order_relaxed);  // published by the next line
    link.store(device, std::memory_order_release);  // pairs with the acquire loads of walkers
  }

  // Removes the device after `previous`, or the first one.
  void Unlink(Device* device, Device* previous) {
    std::atomic<Device*>& link = previous == nullptr ? first : previous->next;
    // Release: as in Insert; it publishes the next device, which is complete.
    link.store(device->next.load(std::memory_order_relaxed), std::memory_order_release);
  }
};

// The lists of all groups.
struct DeviceLists {
  const DeviceList* of_groups = nullptr;
  // The number of the newest device. Stored with release: a reader of it finds all devices up to that number in their
  // lists, and room for them in the line.
  std::atomic<uint64_t> made{0};

  const DeviceList& operator[](uint32_t group) const { return of_groups[group]; }
};

// Acquire, both: pair with the release stores above.
inline const Device* FirstOf(const DeviceList& list) { return list.first.load(std::memory_order_acquire); }
inline const Device* After(const Device& device) { return device.next.load(std::memory_order_acquire); }

}  // namespace vmm

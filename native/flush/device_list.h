// A DeviceList is one group's devices as a flush and the crash handler see them, in the order of the line. First come
// the hidden ones, see Devices. Removed ones stay, since an increment through a stale accessor must still reach the
// aggregate, until nobody can write to them any more.
//
// Thread-safety:       any thread may walk a list while nobody unlinks; Insert and Unlink are called under the store's
//                      lock.
// Async-signal-safety: walking is safe at any moment, also in the middle of an Insert; not in the middle of an Unlink,
// which
//                      therefore happens only where no walker can be, see Flusher::TryQuiet.
// Memory ordering:     `next` is stored with release after the device is complete; walkers acquire.
// Lifetime:            a device is freed once it is unlinked; the others with their store.

#pragma once

#include <atomic>
#include <cstdint>

namespace vmm {

struct Device {
  std::atomic<Device*> next{nullptr};
  // Relaxed: it decides only how the device is shown.
  std::atomic<bool> removed{false};
  bool is_hidden = false;   // it has no key, and counts in the aggregate alone, as removed ones do
  uint32_t first_cell = 0;  // of a hidden one it changes, where no walker can be
  uint32_t directory_entry = 0;
  uint64_t number = 0;  // counted in the order of their making
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

  // Takes out the device after `previous`, or the first one.
  void Unlink(Device* device, Device* previous) {
    std::atomic<Device*>& link = previous == nullptr ? first : previous->next;
    // Release: as in Insert, for what the device behind has published.
    link.store(device->next.load(std::memory_order_relaxed), std::memory_order_release);
  }
};

// The lists of all groups.
struct DeviceLists {
  const DeviceList* of_groups = nullptr;
  // The number of the last device. Release: whoever reads it finds all devices up to it in their lists, and the room
  // that a line needs for them.
  std::atomic<uint64_t> made{0};

  const DeviceList& operator[](uint32_t group) const { return of_groups[group]; }
};

// Acquire, both: pairs with the release stores above.
inline const Device* FirstOf(const DeviceList& list) { return list.first.load(std::memory_order_acquire); }
inline const Device* After(const Device& device) { return device.next.load(std::memory_order_acquire); }

}  // namespace vmm

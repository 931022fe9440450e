// A DeviceList is one group's devices as a flush and the crash handler see them: in the order of the line, removed ones too,
// since an increment through a stale accessor must still reach the aggregate.
//
// Thread-safety:       any thread may walk a list; Insert is called under the store's lock.
// Async-signal-safety: walking is safe at any moment, also in the middle of an Insert.
// Memory ordering:     `next` is stored with release after the device is complete; walkers acquire.
// Lifetime:            a device is never unlinked and never freed before its store.

#pragma once

#include <atomic>
#include <cstdint>

namespace vmm {

struct Device {
  std::atomic<Device*> next{nullptr};
  // Relaxed: it decides only how the device is shown.
  std::atomic<bool> removed{false};
  uint32_t first_cell = 0;
  uint32_t directory_entry = 0;
  // The literal `,"<group>_<id>":{`, owned by the directory.
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
};

}  // namespace vmm

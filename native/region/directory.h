// The Directory lists the devices in the region, for readers in other processes. The process itself uses Devices.
//
// Thread-safety:       one thread at a time (the store's lock).
// Async-signal-safety: none is needed: handlers walk the DeviceList.
// Memory ordering:     `state` publishes an entry, and `devices_used` a new entry, both with release. Afterwards
//                      `directory_changes` says, with release, that something has changed.
// Lifetime:            as long as the region. A free entry is used again for another device. The number in `state`
//                      tells the two devices apart.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "region/region.h"

namespace vmm {

class Directory {
 public:
  explicit Directory(Region& region) : region_(region) {}

  // Makes room for one more entry. A second call is harmless. kTooManyDevices when there are kDevicesMax entries.
  Status Reserve();
  // Writes an entry, after Reserve, and returns its number.
  uint32_t Add(uint32_t group, const std::string& id, uint32_t first_cell, EntryState state = EntryState::kLiving);
  void Remove(uint32_t entry);
  // The device counts as retired when the header's epoch is this one.
  void Retire(uint32_t entry, uint64_t epoch);
  // From now on the entry stands for no device, and may be used again.
  void Free(uint32_t entry);

 private:
  void NoteChange();

  Region& region_;
  std::vector<uint32_t> free_;
  uint32_t made_ = 0;
};

}  // namespace vmm

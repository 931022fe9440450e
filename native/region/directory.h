// The Directory tells readers in other processes which devices there are. The process itself goes by Devices.
//
// Thread-safety:       one thread at a time (the store's lock).
// Async-signal-safety: none is needed: handlers walk the DeviceList.
// Memory ordering:     an entry is published by its `state`, and a new one by `devices_used`, with release.
// Lifetime:            as long as the region. The entry of a device that is gone is used again, with the new one's
//                      number in its state.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "region/region.h"

namespace vmm {

class Directory {
 public:
  explicit Directory(Region& region) : region_(region) {}

  // Makes room for one more entry. Twice is harmless. kTooManyDevices when there are kDevicesMax.
  Status Reserve();
  // The number of the new entry, for which there is room.
  uint32_t Add(uint32_t group, const std::string& id, uint32_t first_cell, EntryState state = EntryState::kLiving);
  void Remove(uint32_t entry);
  // The device counts as retired once the header has this epoch.
  void Retire(uint32_t entry, uint64_t epoch);
  // The entry stands for nothing any more, and may be used again.
  void Free(uint32_t entry);

 private:
  Region& region_;
  std::vector<uint32_t> free_;
  uint32_t made_ = 0;
};

}  // namespace vmm

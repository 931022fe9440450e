// The Directory tells readers in other processes which devices there are. The process itself goes by Devices.
//
// Thread-safety:       one thread at a time (the store's lock).
// Async-signal-safety: none is needed: handlers walk the DeviceList.
// Memory ordering:     an entry is published by `devices_used`, with release.
// Lifetime:            as long as the region. An entry is never used again.

#pragma once

#include <cstdint>
#include <string>

#include "region.h"

namespace vmm {

class Directory {
 public:
  explicit Directory(Region& region) : region_(region) {}

  // Makes room for one more entry. Twice is harmless.
  Status Reserve();
  // The number of the new entry, for which there is room.
  uint32_t Add(uint32_t group, const std::string& id, uint32_t first_cell);
  void Remove(uint32_t entry);

 private:
  Region& region_;
};

}  // namespace vmm

#include "directory.h"

#include <cstring>

namespace vmm {

Status Directory::Reserve() {
  // There are never more devices than cells, so the chunk of the next entry is there.
  const uint32_t entry = region_.devices_used();
  const uint32_t chunk = region_.chunk_of(entry);
  const uint64_t begin = (entry % region_.chunk_cells()) * sizeof(DirectoryEntry);
  const uint64_t last = begin + sizeof(DirectoryEntry) - 1;
  for (uint64_t row = begin / region_.granule_bytes(); row <= last / region_.granule_bytes(); row++) {
    if (Status status = region_.Back(chunk, kFirstDirectoryRow + static_cast<uint32_t>(row)); !status.ok()) return status;
  }
  return {};
}

uint32_t Directory::Add(uint32_t group, const std::string& id, uint32_t first_cell) {
  const uint32_t number = region_.devices_used();
  DirectoryEntry& entry = region_.InDirectory(number);
  entry.group = group;
  entry.first_cell = first_cell;
  entry.id_bytes = static_cast<uint32_t>(id.size());
  std::memcpy(entry.id, id.data(), id.size());
  region_.SetDevicesUsed(number + 1);
  return number;
}

void Directory::Remove(uint32_t entry) {
  // Release: the device's last cells are in their place before.
  region_.InDirectory(entry).removed.store(1, std::memory_order_release);
}

}  // namespace vmm

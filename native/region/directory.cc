#include "region/directory.h"

#include <cstring>

namespace vmm {

Status Directory::Reserve() {
  if (!free_.empty()) return {};
  const uint32_t entry = region_.devices_used();
  if (entry >= kDevicesMax) return {Code::kTooManyDevices};
  // Allocate the room for this entry in `free_` now, since Free cannot report a failure.
  if (free_.capacity() <= entry) free_.reserve(2 * (static_cast<size_t>(entry) + 1));
  // Every device has a cell, so the chunk of the next entry exists already.
  const uint32_t chunk = region_.chunk_of(entry);
  const uint64_t begin = (entry % region_.chunk_cells()) * sizeof(DirectoryEntry);
  const uint64_t last = begin + sizeof(DirectoryEntry) - 1;
  for (uint64_t row = begin / region_.granule_bytes(); row <= last / region_.granule_bytes(); row++) {
    if (Status status = region_.AllocateRow(chunk, kFirstDirectoryRow + static_cast<uint32_t>(row)); !status.ok()) return status;
  }
  return {};
}

uint32_t Directory::Add(uint32_t group, const std::string& id, uint32_t first_cell, EntryState state) {
  const bool is_reused = !free_.empty();
  const uint32_t number = is_reused ? free_.back() : region_.devices_used();
  if (is_reused) free_.pop_back();
  DirectoryEntry& entry = region_.InDirectory(number);
  entry.group = group;
  entry.first_cell = first_cell;
  entry.id_bytes = static_cast<uint32_t>(id.size());
  std::memset(entry.id, 0, sizeof(entry.id));
  std::memcpy(entry.id, id.data(), id.size());
  // Release: publishes the other fields, for an entry that is used again.
  entry.state.store(EntryWord(state, ++made_), std::memory_order_release);
  if (!is_reused) region_.SetDevicesUsed(number + 1);
  NoteChange();
  return number;
}

void Directory::Remove(uint32_t entry) {
  std::atomic<uint32_t>& state = region_.InDirectory(entry).state;
  const uint32_t count = state.load(std::memory_order_relaxed) >> kEntryStateBits;  // written under the lock only
  // Release: publishes what this thread wrote to the device's cells before.
  state.store(EntryWord(EntryState::kRemoved, count), std::memory_order_release);
  NoteChange();
}

void Directory::Retire(uint32_t entry, uint64_t epoch) {
  // Release: publishes the group's other copy, which contains the device's totals.
  region_.InDirectory(entry).state.store(EntryWord(EntryState::kRetiring, epoch), std::memory_order_release);
  NoteChange();
}

void Directory::Free(uint32_t entry) {
  // Release: publishes the zeros in the device's cells.
  region_.InDirectory(entry).state.store(EntryWord(EntryState::kFree, made_), std::memory_order_release);
  free_.push_back(entry);
  NoteChange();
}

void Directory::NoteChange() {
  std::atomic<uint64_t>& changes = region_.header().directory_changes;
  // Only this thread writes it now. Release: a reader that finds the new count also finds the change.
  changes.store(changes.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

}  // namespace vmm

// Retirement frees the cells of devices that no thread can write to any more. It moves their totals to the totals of
// the retired devices of their group, so that the sums of the group stay the same for every reader, even if the process
// dies in the middle.
//
// Besides the cells of its devices, each group has three runs of cells (see EntryState): one where stale accessors
// count, and two copies of the totals of its retired devices. Every copy has its own words in the banks. Only one of
// the two copies counts at a time. Retire writes the other copy, which becomes the sum of the copy that counts and of
// the devices, for the totals and for each bank. Then one store of the header's epoch exchanges the copies and retires
// the devices. Pending deltas stay pending, because the differences between totals and banks stay the same.
//
// Thread-safety:       every function is called under the store's lock; Retire only inside Flusher::TryQuiet.
// Async-signal-safety: none.
// Memory ordering:     the epoch is stored with release: it publishes the copy that it names, and the entries' states.
// Lifetime:            as long as the store.

#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "flush/devices.h"
#include "flush/program.h"
#include "region/cells.h"
#include "region/directory.h"

namespace vmm {

// A device that was removed.
struct Removed {
  uint32_t group;
  const Device* device;
};

class Retirement {
 public:
  Retirement(Cells& cells, Directory& directory, Devices& devices, const ProgramView& program)
      : cells_(cells), directory_(directory), devices_(devices), program_(program) {}

  // Makes the three runs of each group. Called before any device is made.
  Status Create(const std::vector<std::vector<CellKind>>& kinds);

  // The first of the cells where stale accessors of the group count. From now on, flushes collect these cells.
  uint32_t UseRest(uint32_t group);

  bool HasRun(uint32_t group) const { return !groups_[group].free.empty(); }
  // Takes the cells of a retired device, and returns the first of them. All of them are 0.
  uint32_t TakeRun(uint32_t group);

  // Whether lines have shown all that the device has counted. In a group with an aggregate the answer is always true,
  // since the aggregate shows the rest even when the device is gone.
  bool IsFullyFlushed(const Removed& removed) const;

  // Retires these devices. This frees keys that were kept. Returns how many bytes of a line are no longer needed for
  // them.
  uint64_t Retire(const std::vector<Removed>& leaving);

  // For tests: called after each store to the region. If the process died there, a reader would find that state.
  std::function<void()> after_store;

 private:
  struct Group {
    Device* rest = nullptr;
    Device* retired = nullptr;
    uint32_t copies[2] = {0, 0};
    std::vector<uint32_t> free;
  };

  void Stored() const {
    if (after_store) after_store();
  }
  // Adds the words of one cell to those of another, in the banks and in the total. If `is_first`, replaces those of the
  // other instead.
  void Fold(uint32_t from, uint32_t to, bool is_first);
  void Clear(uint32_t first_cell, uint32_t count);

  Cells& cells_;
  Directory& directory_;
  Devices& devices_;
  const ProgramView& program_;
  std::vector<Group> groups_;
  uint64_t epoch_ = 0;
};

}  // namespace vmm

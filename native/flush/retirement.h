// Retirement takes devices out of the store that nobody can write to any more: their totals go into those of their
// group's retired devices, and their cells and entries are free for others. Their groups add up as before for every
// reader, also for who finds the process dead in the middle.
//
// Each group has three runs of cells beside those of its devices, see EntryState: one where stale accessors count, and
// two copies of the totals of its retired devices, each with its own words in the banks. The copy that does not count
// is written first: for the totals, and for each bank, the sum of the other copy and of the devices. Then one store of
// the header's epoch exchanges the copies and retires the devices. What was not flushed yet stays pending, since the
// difference of total and bank stays.
//
// Thread-safety:       under the store's lock; Retire besides only where no walker of the lists and no reader of a bank
//                      can be, see Flusher::TryQuiet.
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

  // Makes the runs of each group; before there is any device.
  Status Create(const std::vector<std::vector<CellKind>>& kinds);

  // Where the cells begin that count what comes through stale accessors.
  uint32_t UseRest(uint32_t group);

  bool HasRun(uint32_t group) const { return !groups_[group].free.empty(); }
  // The first cell of a run of a device that was retired; all its cells are 0.
  uint32_t TakeRun(uint32_t group);

  // Whether nothing that the device has counted waits for a line of its own: in a group with an aggregate nothing ever
  // does.
  bool IsSaid(const Removed& removed) const;

  // Says how many bytes of a line are no longer needed for keys that were kept.
  uint64_t Retire(const std::vector<Removed>& leaving);

  // For tests: called after each store that a reader could find to be the last one.
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
  // Adds what a cell has to another one: in the banks, and as a total.
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

// A RegionRepair replaces memory that a region's file has lost (the file was cut short, or its disk failed), so that
// the SIGBUS of the next access does not end the process. It works on whole granules, in the region's own mapping and
// in every second mapping of the same row.
//
//   mapped ──► replacing ──► replaced
//
// Thread-safety:       Prepare is called by one thread, before the region is shared; Abandon in a forked child; the
//                      rest by any thread.
// Async-signal-safety: Repair is safe; the others are not.
// Memory ordering:     a granule's state publishes its new memory with release; readers acquire.
// Lifetime:            the reservation and the row mappings outlive it.

#pragma once

#include <atomic>
#include <cstdint>

#include "base/status.h"
#include "region/reservation.h"
#include "region/row_mappings.h"

namespace vmm {

class RegionRepair {
 public:
  RegionRepair(const Reservation& space, RowMappings& rows) : space_(space), rows_(rows) {}
  RegionRepair(const RegionRepair&) = delete;
  RegionRepair& operator=(const RegionRepair&) = delete;

  // Allocates the states. Without this call, Repair repairs nothing.
  Status Prepare(uint32_t granule_bytes);

  // Call it after RowMappings::Map. It connects the mapping to the new memory of its row if the row was replaced in the
  // meantime.
  void CatchUp(const RowMappings::Entry& entry, void* address);

  // When `address` is in the region or in a second mapping: puts new memory there, all 0. False when the address is in
  // neither, or when there is no memory. The caller blocks signals: a handler that interrupted the replacement on the
  // same thread could wait for it for ever.
  bool Repair(void* address);

  // For a forked child, whose region has no file any more.
  void Abandon();

 private:
  enum State : uint8_t { kMapped = 0, kReplacing = 1, kReplaced = 2 };

  bool FindGranule(const unsigned char* at, uint64_t* granule);
  bool Replace(uint64_t granule);

  const Reservation& space_;
  RowMappings& rows_;
  uint32_t granule_bytes_ = 0;
  Reservation state_space_;
  std::atomic<uint8_t>* states_ = nullptr;  // one a granule, in state_space_; null: nothing is repaired
  std::atomic<uint32_t> repairs_{0};
};

}  // namespace vmm

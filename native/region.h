// A region is the mapping that holds all cells: a memfd, or anonymous shared memory where a file of that size is not allowed.
//
// Thread-safety:       Create, Back, MapRow and UnmapRow are called by one thread at a time (the store's lock); the rest by any.
// Async-signal-safety: the inline functions are safe; the others are not.
// Memory ordering:     see RegionHeader; the addresses never change while the region lives.
// Lifetime:            mapped from Create to destruction. Rows mapped for JavaScript are other mappings of the same memory and
//                      live until UnmapRow.

#pragma once

#include <cstdint>

#include "cell.h"
#include "format.h"
#include "status.h"

namespace vmm {

class Region {
 public:
  Region() = default;
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  // Reserves the address space and makes the header. The header's fields are set, no chunk has memory yet.
  Status Create(uint64_t schema_fingerprint);

  // Gives memory to row `row` of chunk `chunk`, now: a full disk or memory limit is an error here, never a SIGBUS later.
  Status Back(uint32_t chunk, uint32_t row);

  // A second mapping of one row, for one JavaScript thread: V8 forbids two ArrayBuffers over one address.
  Status MapRow(uint32_t chunk, uint32_t row, void** address) const;
  static void UnmapRow(void* address, size_t bytes);
  // Puts throwaway memory in the place of a mapped row: who still writes there changes nothing.
  void DisconnectRow(void* address) const;

  RegionHeader& header() const { return *reinterpret_cast<RegionHeader*>(base_); }
  unsigned char* base() const { return base_; }
  uint32_t granule_bytes() const { return granule_bytes_; }
  uint32_t chunk_cells() const { return 1u << chunk_shift_; }
  uint32_t chunk_of(uint32_t index) const { return index >> chunk_shift_; }
  uint32_t max_cells() const { return kMaxChunks << chunk_shift_; }

  // Where cell `index` of a row is, in bytes from the start of the region.
  uint64_t OffsetOf(uint32_t row, uint32_t index) const {
    return granule_bytes_ + (static_cast<uint64_t>(index >> chunk_shift_) * kRows + row) * granule_bytes_ +
           (index & (chunk_cells() - 1)) * sizeof(Cell);
  }
  Cell& At(uint32_t row, uint32_t index) const { return *reinterpret_cast<Cell*>(base_ + OffsetOf(row, index)); }
  Cell& InShard(uint32_t shard, uint32_t index) const { return At(kBanks + shard, index); }
  Cell& InBank(uint32_t bank, uint32_t index) const { return At(bank, index); }

 private:
  Status Allocate(uint64_t offset, uint64_t bytes);

  unsigned char* base_ = nullptr;
  uint64_t reserved_bytes_ = 0;
  uint32_t granule_bytes_ = 0;
  uint32_t chunk_shift_ = 0;
  int fd_ = -1;  // -1: anonymous
};

}  // namespace vmm

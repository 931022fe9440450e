// Reads of region files that belong to other processes, for native code to which TypeScript has told the layout. The
// files may be anybody's work: they are read with pread only, and never mapped.
//
// Thread-safety:       one thread at a time for each RowMemory; the functions may be called by any thread.
// Async-signal-safety: none.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "region/format.h"

namespace vmm {

// Memory to read rows into. It begins at a page, since only there the kernel copies whole words; see
// lib/region/pages.ts.
class RowMemory {
 public:
  // Returns memory of at least `bytes` bytes, which is valid until the next call; null if there is no memory.
  unsigned char* Get(size_t bytes);

 private:
  struct Free {
    void operator()(void* memory) const { free(memory); }
  };
  std::unique_ptr<unsigned char, Free> memory_;
  size_t bytes_ = 0;
};

// Where the rows of a region file are.
struct RowPlaces {
  uint32_t granule_bytes = 0;
  uint64_t chunks_offset = 0;

  // Whether a region can be laid out like this. If it cannot, OffsetOf may not be called.
  bool IsPossible() const;
  uint64_t OffsetOf(uint32_t chunk, uint32_t row) const {
    return chunks_offset + (uint64_t{chunk} * kRows + row) * granule_bytes;
  }
};

// Reads exactly `bytes` bytes. False: the file cannot be read, or ends before.
bool ReadFully(int descriptor, void* into, size_t bytes, uint64_t offset);

}  // namespace vmm

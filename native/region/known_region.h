// A region file that a reader in this process has read and checked. As long as only values have changed, the reader
// gets the values from here: TypeScript has decoded the header, the document and the directory, and need not look at
// them again.
//
// The file may be anybody's work, and may change at any moment. It is read with pread only, and never mapped. No number
// in it is used as a place or a length: those come from the reader, which has checked them.
//
// Thread-safety:       one thread at a time for each object.
// Async-signal-safety: none.
// Lifetime:            the descriptor stays open while the object is used. The object does not close it.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "region/file_reads.h"

namespace vmm {

// What the reader knows of a region.
struct KnownRegionSpec {
  int descriptor = -1;
  std::string path;
  // The path is a link to a descriptor in /proc. Any other link is not followed.
  bool is_descriptor_link = false;
  bool is_held = false;            // a process holds the lock
  std::vector<uint8_t> header;     // sizeof(RegionHeader) bytes
  std::vector<uint8_t> directory;  // the entries in use
  // For each cell: its CellKind, and the index of its value; a cell with an index of `values` or more counts nowhere.
  std::vector<uint8_t> kinds;
  std::vector<uint32_t> slots;
  uint32_t values = 0;
  RowPlaces rows;
  uint32_t shards_used = 0;
};

class KnownRegion {
 public:
  enum Result : uint8_t {
    kChanged,  // something else changed, or could not be read; the values and the header are undefined
    kSame,     // only values changed
    kFlushed,  // values changed, and in the header the commit word or the line in flight
  };

  explicit KnownRegion(KnownRegionSpec spec);
  KnownRegion(const KnownRegion&) = delete;
  KnownRegion& operator=(const KnownRegion&) = delete;

  // Whether the spec is consistent. If it is not, no other function may be called.
  bool IsValid() const;
  uint32_t values() const { return spec_.values; }

  // Reads the values at the last flush into `flushed`, the values now into `totals`, and the header into `header`,
  // which has sizeof(RegionHeader) bytes. `user` is the effective user of this process. The order is that of
  // docs/format.md, "What a reader may assume".
  Result Read(uid_t user, RowMemory& memory, uint8_t* header, uint64_t* flushed, uint64_t* totals);

 private:
  // Whether the path still names the file, the file is as long as it must be, and its owner and the user of this
  // process are those for which TypeScript has decided that the file may be read.
  bool IsNamed(uid_t user) const;
  bool ReadRows(RowMemory& memory, uint32_t first, uint32_t count, uint64_t* values) const;
  bool IsDirectorySame(RowMemory& memory) const;

  KnownRegionSpec spec_;         // without the header
  std::vector<uint8_t> header_;  // as it was read last
  dev_t device_ = 0;
  ino_t inode_ = 0;
  uid_t owner_ = 0;
  uid_t user_ = 0;
  bool has_file_ = false;
};

}  // namespace vmm

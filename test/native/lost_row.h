// The memory of a row is lost while the row is mapped several times: every mapping, old or new, is the same new memory.
//
// Thread-safety:       one thread at a time.
// Async-signal-safety: none.

#pragma once

#include "check.h"
#include "file_region.h"

namespace vmm {

// Cuts a region's file and uses the mappings of a lost row. With `comes_back`, the file has its length again before all
// mappings but one have found the loss.
inline void CheckMappingsOfLostRow(bool comes_back) {
  FileRegion file;
  Region& region = file.region;
  void* rows[3] = {};
  for (void*& row : rows) row = file.MapRow(1);
  void* const other = file.MapRow(2);
  Word(other, 7) = 40;
  file.Cut(region.OffsetOf(kFirstShardRow + 1, 0));
  Word(rows[1], 7) += 1;
  if (comes_back) file.Cut(region.OffsetOf(kFirstShardRow + 8, 0));
  for (void* row : rows) Word(row, 7) += 1;
  CHECK_EQ(Read(region.InShard(1, 7)), 4);
  Set(region.InShard(1, 7), 9);
  for (void* row : rows) CHECK_EQ(Word(row, 7).load(), 9);
  Word(other, 7) = 41;
  CHECK_EQ(Read(region.InShard(2, 7)), 41);
  CHECK(file.SaysDegraded());
  void* const late = file.MapRow(1);
  Word(late, 7) += 1;
  CHECK_EQ(Read(region.InShard(1, 7)), 10);
  for (void* row : {rows[0], rows[1], rows[2], other, late}) file.UnmapRow(row);
}

}  // namespace vmm

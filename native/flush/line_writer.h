// A LineWriter writes one line: it reads every cell once, and fills the numbers into the template.
//
// Thread-safety:       one thread at a time for each bank and buffer. Other threads may change cells and add devices at
//                      the same time.
// Async-signal-safety: safe.
// Lifetime:            one line; everything that the constructor is given outlives it.

#pragma once

#include <cstdint>

#include "base/raw_writer.h"
#include "flush/device_list.h"
#include "flush/line_template.h"
#include "region/collection.h"

namespace vmm {

class Filling;

class LineWriter {
 public:
  // `collection` reads the values of the line. A device whose number is above `made` comes with the next line, and its
  // deltas stay pending until then. `aggregate` has room for AggregateMax() values.
  LineWriter(const LineTemplate& line, const Collection& collection, const DeviceLists& devices, uint64_t made,
             uint64_t* aggregate, RawWriter& out)
      : template_(line), collection_(collection), devices_(devices), made_(made), aggregate_(aggregate), out_(out) {}

  // Called once. Every entry begins with a comma; the caller adds braces and newline.
  void Write();

 private:
  class Cursor;

  // Writes a range. The operands of cells count from `first_cell`. `changes`, here and below: what Collect returned.
  void FillRange(const RangeTemplate& range, uint32_t first_cell, uint64_t changes);
  // Takes these deltas of buckets for the ops of one histogram, which follow one another. `range` has all that may be
  // different from 0, and `count` is their sum.
  void TakeBuckets(const uint64_t* deltas, BucketRange range, uint64_t count);
  // Takes the running values that FoldBuckets has added up.
  void TakeSums(const Stretch& stretch);
  // Puts what a histogram's stretch says of the buckets that were taken.
  void PutBuckets(const Stretch& stretch, Filling& filling) const;
  // Adds the deltas of a device's histogram to the running values.
  void FoldBuckets(const Stretch& stretch, const Cell* now, const Cell* flushed);
  // Puts the numbers of a stretch of cells.
  void FillStretch(const Stretch& stretch, Cursor& cursor, Filling& filling);
  void WriteDevices(uint32_t number);
  // For a group without an aggregate: writes the devices that have the id of `begin`, which follow one another in the
  // list. Returns the first device with another id.
  const Device* WriteNamesakes(const GroupTemplate& group, const Device& begin);
  void WriteSum(const GroupTemplate& group, const Device& begin, const Device* end, const Device& shown);
  void WriteObject(const GroupTemplate& group, const Device& device, uint64_t changes);
  uint64_t Collect(const GroupTemplate& group, const Device& device) const;
  bool IsForNextLine(const Device& device) const { return device.number > made_; }
  // Whether a removed device has deltas that no line has shown.
  bool HasPending(const GroupTemplate& group, const Device& device) const;
  // Adds a device to the running values of the aggregate.
  void Fold(const GroupTemplate& group, const Device& device, uint64_t changes, bool is_removed, bool is_first);
  void WriteAggregate(const GroupTemplate& group);

  const LineTemplate& template_;
  const Collection& collection_;
  const DeviceLists& devices_;
  const uint64_t made_;
  uint64_t* const aggregate_;
  RawWriter& out_;

  // Of the histogram that TakeBuckets has taken: the count, and the buckets from the first to the last one that is not
  // empty, without the zero bucket.
  uint64_t count_ = 0;
  const uint64_t* deltas_ = nullptr;
  BucketRange filled_;
  uint64_t deltas_of_one_[kRunCells];  // of a histogram that stands alone; for several devices, `aggregate_` has them
};

}  // namespace vmm

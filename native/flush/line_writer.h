// A LineWriter runs a program once: it reads every cell, and writes the line.
//
// Thread-safety:       one thread at a time for each bank and buffer; cells and devices may change meanwhile.
// Async-signal-safety: safe.
// Lifetime:            of one line; all that it is given outlives it.

#pragma once

#include <cstdint>

#include "base/raw_writer.h"
#include "flush/device_list.h"
#include "flush/line_template.h"
#include "region/collection.h"

namespace vmm {

class LineWriter {
 public:
  // The line has the values that `collection` reads. Devices whose number is above `made` are left to the next line,
  // with what they have counted. `aggregate` has room for AggregateMax() values.
  LineWriter(const LineTemplate& line, const Collection& collection, const DeviceLists& devices, uint64_t made,
             uint64_t* aggregate, RawWriter& out)
      : template_(line), collection_(collection), devices_(devices), made_(made), aggregate_(aggregate), out_(out) {}

  // Once. Every entry of the line begins with a comma; braces and newline are the caller's.
  void Write();

 private:
  class Filling;

  // The numbers of a stretch of cells; operands count from `first_cell`.
  void FillStretch(const Stretch& stretch, uint32_t first_cell, Filling& filling) const;
  void WriteDevices(uint32_t number);
  // Devices of one id, which stand next to one another, in a group without an aggregate. Returns the first device of
  // another id.
  const Device* WriteNamesakes(const GroupTemplate& group, const Device& begin);
  void WriteSum(const GroupTemplate& group, const Device& begin, const Device* end, const Device& shown);
  // `has_news`: as Collection::Collect says of the device.
  void WriteObject(const GroupTemplate& group, const Device& device, bool has_news);
  bool Collect(const GroupTemplate& group, const Device& device) const;
  bool IsToCome(const Device& device) const { return device.number > made_; }
  bool HasRest(const GroupTemplate& group, const Device& device) const;
  void Fold(const GroupTemplate& group, const Device& device, bool is_removed, bool is_first);
  void WriteAggregate(const GroupTemplate& group);

  const LineTemplate& template_;
  const Collection& collection_;
  const DeviceLists& devices_;
  const uint64_t made_;
  uint64_t* const aggregate_;
  RawWriter& out_;
};

}  // namespace vmm

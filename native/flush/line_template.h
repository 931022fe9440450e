// A LineTemplate prepares a program so that it runs fast: it holds the text of the line with a 0 for every number. Most
// numbers of a line are 0, and such a number costs nothing, because the text is copied with the 0 in it.
//
// Thread-safety:       immutable after Make.
// Async-signal-safety: all but Make and the destructor are safe.
// Lifetime:            the program outlives it.

#pragma once

#include <cstddef>
#include <cstdint>

#include "flush/program.h"
#include "region/collection.h"

namespace vmm {

// Consecutive instructions with the same op and with consecutive operands. If the operands are cells, these are in one
// chunk.
struct Stretch {
  // A bit of `bits`, beside the bits of runs of cells: the stretch has work at each flush, even if nothing has changed.
  static constexpr uint64_t kAlways = uint64_t{1} << 63;

  Op op;
  uint32_t slot;  // the first instruction, counted from the first one of its range
  uint32_t count;
  uint32_t operand;  // of the first instruction
  // When Collection::Collect returns none of these bits, every number is 0 and changes no aggregate.
  uint64_t bits;
  // For the ops of a histogram: its buckets, and where their sums over devices stand among the running values.
  const Buckets* buckets = nullptr;
  uint32_t sums = 0;
};

// A range of a program's instructions. An instruction for text alone, or for a number that is always 0, is in no
// stretch: the text contains its whole output.
struct RangeTemplate {
  const char* text = nullptr;  // padded, see RawWriter::PaddedText
  size_t bytes = 0;
  const size_t* places = nullptr;  // for each instruction, where its number stands in the text
  const Stretch* stretches = nullptr;
  uint32_t stretch_count = 0;
};

struct GroupTemplate {
  RangeTemplate fields;
  RangeTemplate aggregate;
  const CellRun* runs = nullptr;
  uint32_t run_count = 0;
  // Used when Collection::Collect returns 0 for a device. True: the output of the device is the unchanged text of
  // `fields`, and the device changes no running value of the aggregate. False when a stretch has kAlways.
  bool may_copy = false;
  uint32_t running_values = 0;  // how many the aggregate needs
};

class LineTemplate {
 public:
  LineTemplate() = default;
  ~LineTemplate();
  LineTemplate(const LineTemplate&) = delete;
  LineTemplate& operator=(const LineTemplate&) = delete;

  // Called once, with a sound program. `kinds` are the kinds of the schema's own cells, `group_kinds[g]` those of a
  // device of group g. Throws when there is no memory.
  void Make(const ProgramView& program, const CellKind* kinds, const CellKind* const* group_kinds);

  const ProgramView& program() const { return *program_; }
  const RangeTemplate& line() const { return line_; }
  const CellRun* runs() const { return runs_; }
  uint32_t run_count() const { return run_count_; }
  const GroupTemplate& group(uint32_t number) const { return groups_[number]; }

 private:
  struct Storage;

  const ProgramView* program_ = nullptr;
  RangeTemplate line_;
  const CellRun* runs_ = nullptr;
  uint32_t run_count_ = 0;
  const GroupTemplate* groups_ = nullptr;
  Storage* storage_ = nullptr;  // owns what the pointers above point to
};

}  // namespace vmm

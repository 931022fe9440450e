// A LineTemplate is a program made ready to be run fast: the text of the line with a 0 in the place of every number. A
// number that is 0 costs nothing then, since the text around it is copied together with its 0; and most numbers of a
// line are 0.
//
// Thread-safety:       immutable once made.
// Async-signal-safety: all but Make are safe.
// Lifetime:            the program that it is made of outlives it.

#pragma once

#include <cstddef>
#include <cstdint>

#include "flush/program.h"
#include "region/collection.h"

namespace vmm {

// Instructions of one op that follow one another and whose operands are neighbours: in one chunk, where they are cells.
struct Stretch {
  Op op;
  uint32_t slot;  // the first instruction, counted from the beginning of its range
  uint32_t count;
  uint32_t operand;  // of the first instruction
};

// A range of a program's instructions. Texts alone, and numbers that are always 0, have no stretch: they are in the
// text.
struct RangeTemplate {
  const char* text = nullptr;  // as RawWriter::PaddedText takes it
  size_t bytes = 0;
  const size_t* places = nullptr;  // of each instruction: where its number stands
  const Stretch* stretches = nullptr;
  uint32_t stretch_count = 0;
};

struct GroupTemplate {
  RangeTemplate fields;
  RangeTemplate aggregate;
  const CellRun* runs = nullptr;
  uint32_t run_count = 0;
  // Whether a device of which there is nothing to say (see Collection::Collect) is the text of `fields` as it stands,
  // and changes no running value of the aggregate.
  bool may_copy = false;
};

class LineTemplate {
 public:
  LineTemplate() = default;
  ~LineTemplate();
  LineTemplate(const LineTemplate&) = delete;
  LineTemplate& operator=(const LineTemplate&) = delete;

  // Once, of a sound program. `kinds` are those of the schema's own cells, `group_kinds[g]` those of a device's.
  // Without memory it throws.
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
  Storage* storage_ = nullptr;  // what all of this points to
};

}  // namespace vmm

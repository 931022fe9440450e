#include "flush/line_template.h"

#include <algorithm>
#include <list>
#include <string>
#include <vector>

#include "base/raw_writer.h"

namespace vmm {

struct LineTemplate::Storage {
  // Lists, because their elements never move.
  std::list<std::string> texts;
  std::list<std::vector<size_t>> places;
  std::list<std::vector<Stretch>> stretches;
  std::list<std::vector<CellRun>> runs;
  std::vector<GroupTemplate> groups;

  RangeTemplate MakeRange(const ProgramView& program, uint32_t begin, uint32_t end, const CellKind* kinds,
                          const std::vector<CellRun>& cell_runs);
  const std::vector<CellRun>& MakeRuns(const CellKind* kinds, uint32_t count);
};

namespace {

Op OpOf(const Instruction& step) { return static_cast<Op>(step.op); }

// Whether the template holds a 0 for the instruction's number.
bool HasZero(Op op) { return op != Op::kText && op != Op::kDevices; }
// Whether the instruction has something to do at each flush.
bool HasWork(Op op) { return op != Op::kText && op != Op::kZero; }

// Whether a stretch may have several instructions of this op. A minimum also needs the maximum in the next cell, so it
// stands alone.
bool AreJoined(Op op) { return op != Op::kTimestamp && op != Op::kDevices && op != Op::kMin; }

bool Continues(const Stretch& stretch, Op op, uint32_t slot, uint32_t operand) {
  return AreJoined(op) && stretch.op == op && stretch.slot + stretch.count == slot &&
         stretch.operand + stretch.count == operand && operand % kRunCells != 0;
}

// Whether the instruction's number is 0, and changes no aggregate, when Collection::Collect finds nothing new in a cell
// of this kind.
bool IsSilent(Op op, CellKind kind) {
  switch (op) {
    case Op::kMinOfStore: return false;  // 0 is the smallest value
    case Op::kInc:
    case Op::kSumOfInc: return kind == CellKind::kInc || kind == CellKind::kNone;
    default: return kind != CellKind::kInc;
  }
}

// The bits of a stretch with this instruction alone.
uint64_t BitsOf(Op op, uint32_t operand, const CellKind* kinds, const std::vector<CellRun>& runs) {
  uint64_t bits = 0;
  if (op == Op::kTimestamp || op == Op::kDevices) return Stretch::kAlways;
  for (uint32_t index = operand; index <= operand + (op == Op::kMin ? 1 : 0); index++) {
    if (!IsSilent(op, kinds[index])) return Stretch::kAlways;
    for (const CellRun& run : runs) {
      if (index - run.first < run.count) bits |= run.bit;
    }
  }
  return bits;
}

bool HaveWorkAlways(const RangeTemplate& range) {
  uint64_t bits = 0;
  for (uint32_t i = 0; i < range.stretch_count; i++) bits |= range.stretches[i].bits;
  return (bits & Stretch::kAlways) != 0;
}

}  // namespace

LineTemplate::~LineTemplate() { delete storage_; }

RangeTemplate LineTemplate::Storage::MakeRange(const ProgramView& program, uint32_t begin, uint32_t end, const CellKind* kinds,
                                               const std::vector<CellRun>& cell_runs) {
  std::string& text = texts.emplace_back();
  std::vector<size_t>& zeros = places.emplace_back();
  std::vector<Stretch>& joined = stretches.emplace_back();
  for (uint32_t i = begin; i < end; i++) {
    const Instruction& step = program.code[i];
    const Op op = OpOf(step);
    text.append(program.literals + step.literal_offset, step.literal_bytes);
    zeros.push_back(text.size());
    if (HasZero(op)) text += '0';
    if (!HasWork(op)) continue;
    const uint64_t bits = BitsOf(op, step.operand, kinds, cell_runs);
    if (!joined.empty() && Continues(joined.back(), op, i - begin, step.operand)) {
      joined.back().count++;
      joined.back().bits |= bits;
    } else {
      joined.push_back({op, i - begin, 1, step.operand, bits});
    }
  }
  const size_t bytes = text.size();
  text.append(RawWriter::kPadding, '\0');
  return {text.data(), bytes, zeros.data(), joined.data(), static_cast<uint32_t>(joined.size())};
}

const std::vector<CellRun>& LineTemplate::Storage::MakeRuns(const CellKind* kinds, uint32_t count) {
  std::vector<CellRun>& made = runs.emplace_back();
  for (uint32_t i = 0; i < count; i++) {
    const CellKind kind = kinds[i] == CellKind::kMin ? CellKind::kMax : kinds[i];
    if (kind == CellKind::kNone) continue;
    if (!made.empty() && made.back().kind == kind && made.back().first + made.back().count == i && i % kRunCells != 0) {
      made.back().count++;
    } else {
      // Run 62 and all later runs share a bit.
      const size_t number = std::min<size_t>(made.size(), 62);
      made.push_back({i, 1, kind, uint64_t{1} << number});
    }
  }
  return made;
}

void LineTemplate::Make(const ProgramView& program, const CellKind* kinds, const CellKind* const* group_kinds) {
  storage_ = new Storage;
  program_ = &program;
  const std::vector<CellRun>& runs = storage_->MakeRuns(kinds, program.static_cells);
  line_ = storage_->MakeRange(program, 0, program.main_end, kinds, runs);
  runs_ = runs.data();
  run_count_ = static_cast<uint32_t>(runs.size());
  for (uint32_t g = 0; g < program.group_count; g++) {
    const DeviceGroup& range = program.groups[g];
    GroupTemplate group;
    const std::vector<CellRun>& group_runs = storage_->MakeRuns(group_kinds[g], range.cells);
    group.fields = storage_->MakeRange(program, range.fields_begin, range.fields_end, group_kinds[g], group_runs);
    group.aggregate = storage_->MakeRange(program, range.aggregate_begin, range.aggregate_end, group_kinds[g], group_runs);
    group.runs = group_runs.data();
    group.run_count = static_cast<uint32_t>(group_runs.size());
    group.may_copy = !HaveWorkAlways(group.fields) && !HaveWorkAlways(group.aggregate);
    storage_->groups.push_back(group);
  }
  groups_ = storage_->groups.data();
}

}  // namespace vmm

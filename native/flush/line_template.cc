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

  RangeTemplate MakeRange(const ProgramView& program, uint32_t group, uint32_t begin, uint32_t end, const CellKind* kinds,
                          const std::vector<CellRun>& cell_runs);
  const std::vector<CellRun>& MakeRuns(const ProgramView& program, uint32_t group, const CellKind* kinds, uint32_t count);
};

namespace {

Op OpOf(const Instruction& step) { return static_cast<Op>(step.op); }

// Whether the template holds a 0 for the instruction's number.
bool HasZero(Op op) { return op != Op::kText && op != Op::kDevices && op != Op::kBucketList; }
// Whether the instruction has something to do at each flush.
bool HasWork(Op op) { return op != Op::kText && op != Op::kZero; }

// Whether a stretch may have several instructions of this op. A minimum also needs the maximum in the next cell, so it
// stands alone.
bool AreJoined(Op op) { return op != Op::kTimestamp && op != Op::kDevices && op != Op::kMin && !IsOfBuckets(op); }

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
    case Op::kSumOfInc: return kind == CellKind::kInc || kind == CellKind::kNone || kind == CellKind::kBucket;
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

uint32_t AggregateSteps(const ProgramView& program, uint32_t group) {
  return program.groups[group].aggregate_end - program.groups[group].aggregate_begin;
}

// Where the sums of a histogram begin among the running values of its group: behind those of the instructions, and of
// the histograms before it.
uint32_t SumsOf(const ProgramView& program, uint32_t group, const LineHistogram* histogram) {
  if (group == kNoGroup) return 0;
  uint32_t at = AggregateSteps(program, group);
  for (const LineHistogram* one = program.histograms; one != histogram; one++) {
    if (one->group == group) at += one->buckets->count;
  }
  return at;
}

bool HaveWorkAlways(const RangeTemplate& range) {
  uint64_t bits = 0;
  for (uint32_t i = 0; i < range.stretch_count; i++) bits |= range.stretches[i].bits;
  return (bits & Stretch::kAlways) != 0;
}

}  // namespace

LineTemplate::~LineTemplate() { delete storage_; }

RangeTemplate LineTemplate::Storage::MakeRange(const ProgramView& program, uint32_t group, uint32_t begin, uint32_t end,
                                               const CellKind* kinds, const std::vector<CellRun>& cell_runs) {
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
      if (!IsOfBuckets(op)) continue;
      const LineHistogram* const histogram = HistogramAt(program, group, step.operand);
      joined.back().buckets = histogram->buckets;
      joined.back().sums = SumsOf(program, group, histogram);
    }
  }
  const size_t bytes = text.size();
  text.append(RawWriter::kPadding, '\0');
  return {text.data(), bytes, zeros.data(), joined.data(), static_cast<uint32_t>(joined.size())};
}

const std::vector<CellRun>& LineTemplate::Storage::MakeRuns(const ProgramView& program, uint32_t group, const CellKind* kinds,
                                                            uint32_t count) {
  std::vector<CellRun>& made = runs.emplace_back();
  for (uint32_t i = 0; i < count; i++) {
    const CellKind kind = kinds[i] == CellKind::kMin ? CellKind::kMax : kinds[i];
    if (kind == CellKind::kNone || kind == CellKind::kTally) continue;
    const LineHistogram* const histogram = kind == CellKind::kBucket ? HistogramAt(program, group, i) : nullptr;
    if (histogram == nullptr && !made.empty() && made.back().kind == kind && made.back().first + made.back().count == i &&
        i % kRunCells != 0) {
      made.back().count++;
    } else {
      // Run 62 and all later runs share a bit.
      const size_t number = std::min<size_t>(made.size(), 62);
      made.push_back({i, 1, kind, uint64_t{1} << number, histogram == nullptr ? nullptr : histogram->buckets});
    }
  }
  return made;
}

void LineTemplate::Make(const ProgramView& program, const CellKind* kinds, const CellKind* const* group_kinds) {
  storage_ = new Storage;
  program_ = &program;
  const std::vector<CellRun>& runs = storage_->MakeRuns(program, kNoGroup, kinds, program.static_cells);
  line_ = storage_->MakeRange(program, kNoGroup, 0, program.main_end, kinds, runs);
  runs_ = runs.data();
  run_count_ = static_cast<uint32_t>(runs.size());
  for (uint32_t g = 0; g < program.group_count; g++) {
    const DeviceGroup& range = program.groups[g];
    GroupTemplate group;
    const std::vector<CellRun>& group_runs = storage_->MakeRuns(program, g, group_kinds[g], range.cells);
    group.fields = storage_->MakeRange(program, g, range.fields_begin, range.fields_end, group_kinds[g], group_runs);
    group.aggregate = storage_->MakeRange(program, g, range.aggregate_begin, range.aggregate_end, group_kinds[g], group_runs);
    group.runs = group_runs.data();
    group.run_count = static_cast<uint32_t>(group_runs.size());
    group.may_copy = !HaveWorkAlways(group.fields) && !HaveWorkAlways(group.aggregate);
    group.running_values = AggregateSteps(program, g);
    for (uint32_t i = 0; i < program.histogram_count; i++) {
      if (program.histograms[i].group == g) group.running_values += program.histograms[i].buckets->count;
    }
    storage_->groups.push_back(group);
  }
  groups_ = storage_->groups.data();
}

}  // namespace vmm

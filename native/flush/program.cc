#include "flush/program.h"

#include "base/raw_writer.h"

namespace vmm {

namespace {

uint64_t BytesMax(const ProgramView& program, uint32_t group, uint32_t begin, uint32_t end) {
  uint64_t bytes = 0;
  for (uint32_t i = begin; i < end; i++) {
    const Instruction& step = program.code[i];
    bytes += step.literal_bytes + kNumberBytesMax;
    if (static_cast<Op>(step.op) != Op::kBucketList) continue;
    const LineHistogram* const histogram = HistogramAt(program, group, step.operand);
    bytes += uint64_t{histogram->buckets->count} * (kNumberBytesMax + 1);
  }
  return bytes;
}

bool IsSoundRange(const ProgramView& program, uint32_t group, uint32_t begin, uint32_t end, uint32_t cells, Op first_op,
                  Op last_op) {
  if (begin > end || end > program.code_count) return false;
  for (uint32_t i = begin; i < end; i++) {
    const Instruction& step = program.code[i];
    const Op op = static_cast<Op>(step.op);
    if (static_cast<uint64_t>(step.literal_offset) + step.literal_bytes > program.literal_bytes) return false;
    if (op == Op::kText || (op == Op::kZero && first_op == Op::kSumOfInc)) continue;  // only an aggregate prints a 0
    if (IsOfBuckets(op)) {
      const LineHistogram* const histogram = HistogramAt(program, group, step.operand);
      if (histogram == nullptr || step.operand < kFirstBucket) return false;
      if (uint64_t{step.operand} + histogram->buckets->count > cells) return false;
      continue;
    }
    if (op == Op::kMin || op == Op::kMax) {
      if (static_cast<uint64_t>(step.operand) + (op == Op::kMin ? 1 : 0) >= cells) return false;
      // The running maximum stands right after the running minimum.
      if (op == Op::kMin && (i + 1 == end || program.code[i + 1].op != static_cast<uint32_t>(Op::kMax))) return false;
      continue;
    }
    if (op < first_op || op > last_op) return false;
    if (op == Op::kDevices ? step.operand >= program.group_count : op != Op::kTimestamp && step.operand >= cells) return false;
  }
  return true;
}

}  // namespace

bool IsSound(const ProgramView& program) {
  if (!IsSoundRange(program, kNoGroup, 0, program.main_end, program.static_cells, Op::kTimestamp, Op::kDevices)) return false;
  for (uint32_t g = 0; g < program.group_count; g++) {
    const DeviceGroup& group = program.groups[g];
    if (group.cells == 0) return false;
    if (!IsSoundRange(program, g, group.fields_begin, group.fields_end, group.cells, Op::kInc, Op::kStore)) return false;
    if (!IsSoundRange(program, g, group.aggregate_begin, group.aggregate_end, group.cells, Op::kSumOfInc, Op::kMaxOfStore))
      return false;
  }
  return true;
}

uint64_t LineBytesMax(const ProgramView& program) {
  uint64_t bytes = 8 + BytesMax(program, kNoGroup, 0, program.main_end);  // braces and newlines
  for (uint32_t g = 0; g < program.group_count; g++) {
    bytes += BytesMax(program, g, program.groups[g].aggregate_begin, program.groups[g].aggregate_end);
  }
  return bytes;
}

uint64_t DeviceBytesMax(const ProgramView& program, uint32_t group) {
  return BytesMax(program, group, program.groups[group].fields_begin, program.groups[group].fields_end);
}

uint32_t AggregateMax(const ProgramView& program) {
  uint32_t most = 1;
  for (uint32_t g = 0; g < program.group_count; g++) {
    // One value for each instruction, and then one for each bucket.
    uint32_t count = program.groups[g].aggregate_end - program.groups[g].aggregate_begin;
    for (uint32_t i = 0; i < program.histogram_count; i++) {
      if (program.histograms[i].group == g) count += program.histograms[i].buckets->count;
    }
    if (count > most) most = count;
  }
  return most;
}

}  // namespace vmm

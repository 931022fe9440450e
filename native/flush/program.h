// A Program is the compiled form of a schema: literal JSON bytes interleaved with cell reads. TypeScript generates it,
// and native code checks it once. LineTemplate prepares it, and LineWriter runs it at every flush.
//
// Thread-safety:       immutable.
// Async-signal-safety: safe.
// Units:               cells are indexes, literals are bytes.

#pragma once

#include <cstdint>

#include "region/bucket_range.h"

namespace vmm {

// What an instruction writes. Each instruction writes its literal first.
enum class Op : uint32_t {
  kText = 0,       // the literal alone
  kTimestamp = 1,  // then the wall clock in milliseconds
  kInc = 2,        // then the delta since the last flush of cell `operand`
  kStore = 3,      // then the value of cell `operand`
  kMin = 4,        // then the minimum in cell `operand`, whose maximum is the next cell
  kMax = 5,        // then the maximum in cell `operand`
  kDevices = 6,    // then the devices of group `operand`, and their aggregate
  // In an aggregate: over one cell of each device, which is `operand` cells after the device's first cell.
  kSumOfInc = 7,
  kSumOfStore = 8,
  kMinOfStore = 9,
  kMaxOfStore = 10,
  kZero = 11,  // then 0
  // Of the histogram whose first bucket is cell `operand`; in an aggregate, over the histograms of all devices. All are
  // about the deltas since the last flush.
  kBucketCount = 12,   // then the sum of all buckets
  kBucketOffset = 13,  // then the number of the first bucket that is not empty, without the zero bucket; 0 if all are empty
  kBucketList = 14,    // then the buckets from that one to the last one that is not empty, with commas between them
};

// TypeScript writes an instruction as four 32-bit words.
struct Instruction {
  uint32_t op;
  uint32_t literal_offset;
  uint32_t literal_bytes;
  uint32_t operand;
};
static_assert(sizeof(Instruction) == 16);

// A group of devices: two ranges of instructions, whose operands count from the first cell of a device.
struct DeviceGroup {
  uint32_t cells;
  uint32_t fields_begin, fields_end;
  uint32_t aggregate_begin, aggregate_end;  // equal: no aggregate
};
static_assert(sizeof(DeviceGroup) == 20);

// A histogram of the line. `group` is kNoGroup for a plain group.
constexpr uint32_t kNoGroup = ~0u;
struct LineHistogram {
  uint32_t group;
  uint32_t first_bucket;  // for devices: counted from the first cell of a device
  const Buckets* buckets;
};

constexpr bool IsOfBuckets(Op op) { return op == Op::kBucketCount || op == Op::kBucketOffset || op == Op::kBucketList; }

struct ProgramView {
  const Instruction* code;
  uint32_t code_count;
  uint32_t main_end;  // the line is code [0, main_end)
  const DeviceGroup* groups;
  uint32_t group_count;
  const char* literals;
  uint32_t literal_bytes;
  uint32_t static_cells;  // how many cells the schema has without devices
  const LineHistogram* histograms = nullptr;
  uint32_t histogram_count = 0;
};

// The histogram whose first bucket is that cell; null: there is none.
inline const LineHistogram* HistogramAt(const ProgramView& program, uint32_t group, uint32_t first_bucket) {
  for (uint32_t i = 0; i < program.histogram_count; i++) {
    const LineHistogram& one = program.histograms[i];
    if (one.group == group && one.first_bucket == first_bucket) return &one;
  }
  return nullptr;
}

// Whether every instruction, cell and literal is within its bounds.
bool IsSound(const ProgramView& program);

// The most bytes that a line without devices has, and the most bytes that one device of a group adds, without its key.
uint64_t LineBytesMax(const ProgramView& program);
uint64_t DeviceBytesMax(const ProgramView& program, uint32_t group);

inline bool HasAggregate(const ProgramView& program, uint32_t group) {
  return program.groups[group].aggregate_begin != program.groups[group].aggregate_end;
}

// The most running values that the aggregate of any group needs.
uint32_t AggregateMax(const ProgramView& program);

}  // namespace vmm

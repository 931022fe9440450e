// A Program is the compiled form of a schema: literal JSON bytes interleaved with cell reads. TypeScript generates it,
// and native code checks it once. LineTemplate prepares it, and LineWriter runs it at every flush.
//
// Thread-safety:       immutable.
// Async-signal-safety: safe.
// Units:               cells are indexes, literals are bytes.

#pragma once

#include <cstdint>

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

struct ProgramView {
  const Instruction* code;
  uint32_t code_count;
  uint32_t main_end;  // the line is code [0, main_end)
  const DeviceGroup* groups;
  uint32_t group_count;
  const char* literals;
  uint32_t literal_bytes;
  uint32_t static_cells;  // how many cells the schema has without devices
};

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

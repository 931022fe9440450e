#include "flush/program.h"

#include <cstring>

#include "base/clock.h"

namespace vmm {

namespace {

// The cells of one flush: new values, and those of the last.
struct Values {
  const Cells& cells;
  const Region& region;
  uint32_t bank;
  uint32_t flushed;

  void Collect(const DeviceGroup& group, const Device& device) const { cells.Collect(bank, device.first_cell, group.cells); }
  uint64_t New(uint32_t index) const { return Read(region.InBank(bank, index)); }
  uint64_t Delta(uint32_t index) const {
    const uint64_t now = New(index);
    const uint64_t last = Read(region.InBank(flushed, index));
    // A counter wraps; one whose memory was lost begins anew.
    return now < last && region.is_degraded() ? now : now - last;
  }
};

uint64_t WallClockMs() { return static_cast<uint64_t>(RealtimeNs()) / 1'000'000; }

void WriteCell(const Values& values, Op op, uint32_t index, RawWriter& out) {
  switch (op) {
    case Op::kInc: out.Number(values.Delta(index)); break;
    case Op::kStore:
    case Op::kMax: out.Number(values.New(index)); break;
    case Op::kMin: out.Number(MinimumOf(values.New(index), values.New(index + 1))); break;
    default: break;
  }
}

// Folds one device into the running values of its group's aggregate.
void Fold(const ProgramView& program, const DeviceGroup& group, const Values& values, const Device& device, bool removed,
          bool first, uint64_t* aggregate) {
  for (uint32_t i = group.aggregate_begin; i < group.aggregate_end; i++) {
    const Instruction& step = program.code[i];
    uint64_t& running = aggregate[i - group.aggregate_begin];
    const uint32_t index = device.first_cell + step.operand;
    switch (static_cast<Op>(step.op)) {
      case Op::kSumOfInc: running += values.Delta(index); break;
      // A removed device is no longer set to anything; only what it still counts matters.
      case Op::kSumOfStore:
        if (!removed) running += values.New(index);
        break;
      case Op::kMinOfStore:
        if (!removed && (first || values.New(index) < running)) running = values.New(index);
        break;
      case Op::kMaxOfStore:
      case Op::kMin:
      case Op::kMax:
        if (!removed && values.New(index) > running) running = values.New(index);
        break;
      default: break;
    }
  }
}

bool IsRemoved(const Device& device) { return device.removed.load(std::memory_order_relaxed); }  // decides only how it is shown

// Whether a device that was removed has counted something that no line has shown.
bool HasRest(const ProgramView& program, const DeviceGroup& group, const Values& values, const Device& device) {
  for (uint32_t i = group.fields_begin; i < group.fields_end; i++) {
    const Instruction& step = program.code[i];
    if (step.op == static_cast<uint32_t>(Op::kInc) && values.Delta(device.first_cell + step.operand) != 0) return true;
  }
  return false;
}

bool HaveSameKey(const Device& a, const Device& b) {
  return a.key_bytes == b.key_bytes && std::memcmp(a.key, b.key, a.key_bytes) == 0;
}

void WriteFields(const ProgramView& program, const DeviceGroup& group, const Values& values, const Device& device,
                 RawWriter& out) {
  out.Text(device.key, device.key_bytes);
  for (uint32_t i = group.fields_begin; i < group.fields_end; i++) {
    const Instruction& step = program.code[i];
    out.Text(program.literals + step.literal_offset, step.literal_bytes);
    WriteCell(values, static_cast<Op>(step.op), device.first_cell + step.operand, out);
  }
}

// Where there is no aggregate, what a removed device still has to say can only stand under its own key. Devices of one
// id, which stand next to one another in the list, share the key, and so one object of the line: its deltas are those
// of all of them, the rest is that of the living one, or of the last one that has something to say. Returns the first
// device of another key.
const Device* WriteNamesakes(const ProgramView& program, const DeviceGroup& group, const Values& values, uint64_t made,
                             const Device& begin, RawWriter& out) {
  const Device* shown = nullptr;
  const Device* end = &begin;
  for (; end != nullptr && HaveSameKey(*end, begin); end = After(*end)) {
    if (end->number > made) continue;
    values.Collect(group, *end);
    // The living one was made last.
    if (!IsRemoved(*end) || HasRest(program, group, values, *end)) shown = end;
  }
  if (shown == nullptr) return end;
  out.Text(shown->key, shown->key_bytes);
  for (uint32_t i = group.fields_begin; i < group.fields_end; i++) {
    const Instruction& step = program.code[i];
    out.Text(program.literals + step.literal_offset, step.literal_bytes);
    if (static_cast<Op>(step.op) != Op::kInc) {
      WriteCell(values, static_cast<Op>(step.op), shown->first_cell + step.operand, out);
      continue;
    }
    uint64_t sum = 0;
    for (const Device* device = &begin; device != end; device = After(*device)) {
      if (device->number <= made) sum += values.Delta(device->first_cell + step.operand);
    }
    out.Number(sum);
  }
  return end;
}

void WriteAggregate(const ProgramView& program, const DeviceGroup& group, const uint64_t* aggregate, RawWriter& out) {
  for (uint32_t i = group.aggregate_begin; i < group.aggregate_end; i++) {
    const Instruction& step = program.code[i];
    const uint64_t running = aggregate[i - group.aggregate_begin];
    out.Text(program.literals + step.literal_offset, step.literal_bytes);
    switch (static_cast<Op>(step.op)) {
      case Op::kText: break;
      case Op::kMin: out.Number(MinimumOf(running, aggregate[i - group.aggregate_begin + 1])); break;
      case Op::kZero: out.Number(0); break;
      default: out.Number(running); break;
    }
  }
}

void WriteDevices(const ProgramView& program, const DeviceGroup& group, const DeviceList& devices, const Values& values,
                  uint64_t made, uint64_t* aggregate, RawWriter& out) {
  const bool has_aggregate = group.aggregate_begin != group.aggregate_end;
  for (uint32_t i = group.aggregate_begin; i < group.aggregate_end; i++) aggregate[i - group.aggregate_begin] = 0;
  bool first = true;
  for (const Device* device = FirstOf(devices); device != nullptr;) {
    if (device->number > made) {  // the next line has it, and there may be no room for it in this one
      device = After(*device);
      continue;
    }
    if (!has_aggregate && !device->is_hidden) {
      device = WriteNamesakes(program, group, values, made, *device, out);
      continue;
    }
    values.Collect(group, *device);
    const bool removed = IsRemoved(*device);
    if (!removed) WriteFields(program, group, values, *device, out);
    Fold(program, group, values, *device, removed, first, aggregate);
    if (!removed) first = false;
    device = After(*device);
  }
  WriteAggregate(program, group, aggregate, out);
}

uint64_t BytesMax(const ProgramView& program, uint32_t begin, uint32_t end) {
  uint64_t bytes = 0;
  for (uint32_t i = begin; i < end; i++) bytes += program.code[i].literal_bytes + kNumberBytesMax;
  return bytes;
}

bool IsSoundRange(const ProgramView& program, uint32_t begin, uint32_t end, uint32_t cells, Op first_op, Op last_op) {
  if (begin > end || end > program.code_count) return false;
  for (uint32_t i = begin; i < end; i++) {
    const Instruction& step = program.code[i];
    const Op op = static_cast<Op>(step.op);
    if (static_cast<uint64_t>(step.literal_offset) + step.literal_bytes > program.literal_bytes) return false;
    if (op == Op::kText || (op == Op::kZero && first_op == Op::kSumOfInc)) continue;  // only an aggregate prints a 0
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
  if (!IsSoundRange(program, 0, program.main_end, program.static_cells, Op::kTimestamp, Op::kDevices)) return false;
  for (uint32_t g = 0; g < program.group_count; g++) {
    const DeviceGroup& group = program.groups[g];
    if (group.cells == 0) return false;
    if (!IsSoundRange(program, group.fields_begin, group.fields_end, group.cells, Op::kInc, Op::kStore)) return false;
    if (!IsSoundRange(program, group.aggregate_begin, group.aggregate_end, group.cells, Op::kSumOfInc, Op::kMaxOfStore))
      return false;
  }
  return true;
}

uint64_t LineBytesMax(const ProgramView& program) {
  uint64_t bytes = 8 + BytesMax(program, 0, program.main_end);  // braces and newlines
  for (uint32_t g = 0; g < program.group_count; g++) {
    bytes += BytesMax(program, program.groups[g].aggregate_begin, program.groups[g].aggregate_end);
  }
  return bytes;
}

uint64_t DeviceBytesMax(const ProgramView& program, uint32_t group) {
  return BytesMax(program, program.groups[group].fields_begin, program.groups[group].fields_end);
}

uint32_t AggregateMax(const ProgramView& program) {
  uint32_t most = 1;
  for (uint32_t g = 0; g < program.group_count; g++) {
    const uint32_t count = program.groups[g].aggregate_end - program.groups[g].aggregate_begin;
    if (count > most) most = count;
  }
  return most;
}

void Run(const ProgramView& program, const Cells& cells, const DeviceLists& devices, uint64_t made, uint32_t bank,
         uint32_t flushed, uint64_t* aggregate, RawWriter& out) {
  const Values values = {cells, cells.region(), bank, flushed};
  cells.BeginCollection();
  cells.Collect(bank, 0, program.static_cells);
  for (uint32_t i = 0; i < program.main_end; i++) {
    const Instruction& step = program.code[i];
    out.Text(program.literals + step.literal_offset, step.literal_bytes);
    switch (static_cast<Op>(step.op)) {
      case Op::kTimestamp: out.Number(WallClockMs()); break;
      case Op::kDevices:
        WriteDevices(program, program.groups[step.operand], devices[step.operand], values, made, aggregate, out);
        break;
      default: WriteCell(values, static_cast<Op>(step.op), step.operand, out); break;
    }
  }
}

}  // namespace vmm

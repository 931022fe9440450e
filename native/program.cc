#include "program.h"

#include <time.h>

#include <cstring>

namespace vmm {

namespace {

// The cells of one flush: new values, and those of the last.
struct Values {
  const Region& region;
  uint32_t bank;
  uint32_t flushed;

  // Leaves a cell as it was last flushed, so that what came since stays pending.
  void Keep(uint32_t index) const { Set(region.InBank(bank, index), Read(region.InBank(flushed, index))); }
  uint64_t New(uint32_t index) const { return Read(region.InBank(bank, index)); }
  uint64_t Delta(uint32_t index) const {
    const uint64_t now = New(index);
    const uint64_t last = Read(region.InBank(flushed, index));
    // A counter wraps; one whose memory was lost begins anew.
    return now < last && region.is_degraded() ? now : now - last;
  }
};

uint64_t WallClockMs() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

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

// Where there is no aggregate, what a removed device still has to say can only stand under its own key. When the key is in this
// line already, by a device of the same id, which stands next to it in the list, it waits for the next.
bool KeepsRestForLater(const ProgramView& program, const DeviceGroup& group, const Values& values, const Device& device,
                       bool key_is_taken) {
  if (!HasRest(program, group, values, device)) return true;
  bool is_taken = key_is_taken;
  for (const Device* other = device.next.load(std::memory_order_acquire);
       !is_taken && other != nullptr && HaveSameKey(*other, device); other = other->next.load(std::memory_order_acquire)) {
    is_taken = !IsRemoved(*other);
  }
  if (!is_taken) return false;
  for (uint32_t i = group.fields_begin; i < group.fields_end; i++) {
    if (program.code[i].op == static_cast<uint32_t>(Op::kInc)) values.Keep(device.first_cell + program.code[i].operand);
  }
  return true;
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
                  uint32_t count, uint64_t* aggregate, RawWriter& out) {
  const bool has_aggregate = group.aggregate_begin != group.aggregate_end;
  for (uint32_t i = group.aggregate_begin; i < group.aggregate_end; i++) aggregate[i - group.aggregate_begin] = 0;
  bool first = true;
  const Device* shown = nullptr;  // the last device in this line
  // Acquire, here and below: pairs with the release store in DeviceList::Insert.
  for (const Device* device = devices.first.load(std::memory_order_acquire); device != nullptr;
       device = device->next.load(std::memory_order_acquire)) {
    if (device->first_cell + group.cells > count) continue;  // it came after the cells were read; the next line has it
    const bool removed = IsRemoved(*device);
    if (removed && !has_aggregate) {
      const bool key_is_taken = shown != nullptr && HaveSameKey(*shown, *device);
      if (KeepsRestForLater(program, group, values, *device, key_is_taken)) continue;
    }
    if (!removed || !has_aggregate) {
      shown = device;
      out.Text(device->key, device->key_bytes);
      for (uint32_t i = group.fields_begin; i < group.fields_end; i++) {
        const Instruction& step = program.code[i];
        out.Text(program.literals + step.literal_offset, step.literal_bytes);
        WriteCell(values, static_cast<Op>(step.op), device->first_cell + step.operand, out);
      }
    }
    Fold(program, group, values, *device, removed, first, aggregate);
    if (!removed) first = false;
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

bool IsSound(const ProgramView& program, uint32_t static_cells) {
  if (!IsSoundRange(program, 0, program.main_end, static_cells, Op::kTimestamp, Op::kDevices)) return false;
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

void Run(const ProgramView& program, const Cells& cells, const DeviceList* devices, uint32_t bank, uint32_t flushed,
         uint32_t count, uint64_t* aggregate, RawWriter& out) {
  const Values values = {cells.region(), bank, flushed};
  for (uint32_t i = 0; i < program.main_end; i++) {
    const Instruction& step = program.code[i];
    out.Text(program.literals + step.literal_offset, step.literal_bytes);
    switch (static_cast<Op>(step.op)) {
      case Op::kTimestamp: out.Number(WallClockMs()); break;
      case Op::kDevices:
        WriteDevices(program, program.groups[step.operand], devices[step.operand], values, count, aggregate, out);
        break;
      default: WriteCell(values, static_cast<Op>(step.op), step.operand, out); break;
    }
  }
}

}  // namespace vmm

// The reference for LineWriter: writes the line of a program as plainly as possible, one number after the other.
// LineWriter must write the same bytes.
//
// Thread-safety:       no thread changes a cell or a device meanwhile.
// Async-signal-safety: none.

#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "flush/device_list.h"
#include "flush/program.h"
#include "region/cells.h"

namespace vmm {

class LineReference {
 public:
  // Stands in the text in place of the wall clock.
  static constexpr char kClock = '\x01';

  LineReference(const ProgramView& program, const Cells& cells, const DeviceLists& devices, uint64_t made, uint32_t flushed)
      : program_(program), cells_(cells), devices_(devices), made_(made), flushed_(flushed) {
    for (uint32_t index = 0; index < program.static_cells; index++) Collect(index);
    for (uint32_t i = 0; i < program.main_end; i++) {
      const Instruction& step = program.code[i];
      text_ += LiteralOf(step);
      switch (OpOf(step)) {
        case Op::kTimestamp: text_ += kClock; break;
        case Op::kDevices: WriteGroup(step.operand); break;
        default:
          if (IsOfBuckets(OpOf(step))) {
            WriteBuckets(OpOf(step), *HistogramAt(program, kNoGroup, step.operand), {0});
          } else {
            WriteCell(OpOf(step), step.operand);
          }
      }
    }
  }

  const std::string& text() const { return text_; }
  // The collected cells, with the values that the working bank must have.
  const std::map<uint32_t, uint64_t>& bank() const { return bank_; }

 private:
  static Op OpOf(const Instruction& step) { return static_cast<Op>(step.op); }
  std::string LiteralOf(const Instruction& step) const {
    return std::string(program_.literals + step.literal_offset, step.literal_bytes);
  }

  uint64_t Total(uint32_t index) const {
    uint64_t sum = 0, most = 0;
    for (uint32_t shard = 0; shard < cells_.shards_used(); shard++) {
      const uint64_t value = Read(cells_.region().InShard(shard, index));
      sum += value;
      most = std::max(most, value);
    }
    switch (cells_.kind(index)) {
      case CellKind::kNone: return 0;
      case CellKind::kInc:
      case CellKind::kTally:
      case CellKind::kBucket: return sum;
      case CellKind::kStore: return Read(cells_.Shared(index));
      case CellKind::kMin:
      case CellKind::kMax: return most;
    }
    return 0;
  }
  void Collect(uint32_t index) {
    if (cells_.kind(index) != CellKind::kTally) bank_[index] = Total(index);
  }
  void Collect(uint32_t group, const Device& device) {
    for (uint32_t i = 0; i < program_.groups[group].cells; i++) Collect(device.first_cell + i);
  }
  uint64_t Delta(uint32_t index) const {
    const uint64_t now = Total(index), last = Read(cells_.region().InBank(flushed_, index));
    return cells_.region().is_degraded() && now < last ? now : now - last;
  }

  static std::string Digits(uint64_t value) { return std::to_string(value); }
  void WriteCell(Op op, uint32_t index) {
    if (op == Op::kInc) text_ += Digits(Delta(index));
    if (op == Op::kStore || op == Op::kMax) text_ += Digits(Total(index));
    if (op == Op::kMin) text_ += Digits(MinimumOf(Total(index), Total(index + 1)));
  }

  // What one op says of the deltas of these histograms together, whose cells count from these cells on.
  void WriteBuckets(Op op, const LineHistogram& histogram, const std::vector<uint32_t>& firsts) {
    std::vector<uint64_t> deltas(histogram.buckets->count);
    for (const uint32_t first : firsts) {
      for (uint32_t i = 0; i < deltas.size(); i++) deltas[i] += Delta(first + histogram.first_bucket + i);
    }
    uint64_t count = 0;
    for (const uint64_t delta : deltas) count += delta;
    if (op == Op::kBucketCount) text_ += Digits(count);
    size_t begin = 1, end = deltas.size();
    while (begin < end && deltas[begin] == 0) begin++;
    while (begin < end && deltas[end - 1] == 0) end--;
    if (op == Op::kBucketOffset) {
      text_ += begin < end ? std::to_string(histogram.buckets->first_index + static_cast<int64_t>(begin) - 1) : "0";
    }
    for (size_t i = begin; op == Op::kBucketList && i < end; i++) text_ += (i == begin ? "" : ",") + Digits(deltas[i]);
  }
  static std::vector<uint32_t> FirstsOf(const std::vector<const Device*>& devices) {
    std::vector<uint32_t> firsts;
    for (const Device* device : devices) firsts.push_back(device->first_cell);
    return firsts;
  }

  bool IsThere(const Device& device) const { return device.number <= made_; }
  static bool IsRemoved(const Device& device) { return device.removed.load(std::memory_order_relaxed); }  // nobody else is here
  static std::string KeyOf(const Device& device) { return std::string(device.key, device.key_bytes); }

  void WriteGroup(uint32_t number) {
    std::vector<const Device*> there;
    for (const Device* device = FirstOf(devices_[number]); device != nullptr; device = After(*device)) {
      if (!IsThere(*device)) continue;
      Collect(number, *device);
      there.push_back(device);
    }
    if (!HasAggregate(program_, number)) {
      // Devices with one key are neighbours, and the hidden devices come first.
      for (size_t begin = 0, end; begin < there.size(); begin = end) {
        end = begin + 1;
        if (there[begin]->is_hidden) continue;
        while (end < there.size() && KeyOf(*there[end]) == KeyOf(*there[begin])) end++;
        WriteNamesakes(number, {there.begin() + static_cast<long>(begin), there.begin() + static_cast<long>(end)});
      }
      return;
    }
    for (const Device* device : there) {
      if (!IsRemoved(*device)) WriteNamesakes(number, {device});
    }
    WriteAggregate(number, there);
  }

  // Writes one object for all devices with one key. It has the sums of their deltas. Its other values are those of the
  // last device that still exists or has counted.
  void WriteNamesakes(uint32_t number, const std::vector<const Device*>& namesakes) {
    const DeviceGroup& group = program_.groups[number];
    const auto has_counted = [&](const Device& device) {
      for (uint32_t i = group.fields_begin; i < group.fields_end; i++) {
        const Op op = OpOf(program_.code[i]);
        const uint32_t operand = program_.code[i].operand;
        const uint32_t count = op == Op::kBucketCount ? HistogramAt(program_, number, operand)->buckets->count : op == Op::kInc;
        for (uint32_t at = 0; at < count; at++) {
          if (Delta(device.first_cell + operand + at) != 0) return true;
        }
      }
      return false;
    };
    const Device* shown = nullptr;
    for (const Device* device : namesakes) {
      if (!IsRemoved(*device) || has_counted(*device)) shown = device;
    }
    if (shown == nullptr) return;
    text_ += KeyOf(*shown);
    for (uint32_t i = group.fields_begin; i < group.fields_end; i++) {
      const Instruction& step = program_.code[i];
      text_ += LiteralOf(step);
      if (IsOfBuckets(OpOf(step))) {
        WriteBuckets(OpOf(step), *HistogramAt(program_, number, step.operand), FirstsOf(namesakes));
        continue;
      }
      if (OpOf(step) != Op::kInc) {
        WriteCell(OpOf(step), shown->first_cell + step.operand);
        continue;
      }
      uint64_t sum = 0;
      for (const Device* device : namesakes) sum += Delta(device->first_cell + step.operand);
      text_ += Digits(sum);
    }
  }

  void WriteAggregate(uint32_t number, const std::vector<const Device*>& devices) {
    const DeviceGroup& group = program_.groups[number];
    std::vector<const Device*> living;
    for (const Device* device : devices) {
      if (!IsRemoved(*device)) living.push_back(device);
    }
    // These combine the values of the cell `operand` of all living devices.
    const auto sum = [&](uint32_t operand) {
      uint64_t total = 0;
      for (const Device* device : living) total += Total(device->first_cell + operand);
      return total;
    };
    const auto least = [&](uint32_t operand) {
      uint64_t value = living.empty() ? 0 : ~uint64_t{0};
      for (const Device* device : living) value = std::min(value, Total(device->first_cell + operand));
      return value;
    };
    const auto most = [&](uint32_t operand) {
      uint64_t value = 0;
      for (const Device* device : living) value = std::max(value, Total(device->first_cell + operand));
      return value;
    };
    for (uint32_t i = group.aggregate_begin; i < group.aggregate_end; i++) {
      const Instruction& step = program_.code[i];
      text_ += LiteralOf(step);
      uint64_t deltas = 0;
      switch (OpOf(step)) {
        case Op::kText: break;
        case Op::kSumOfInc:
          for (const Device* device : devices) deltas += Delta(device->first_cell + step.operand);
          text_ += Digits(deltas);
          break;
        case Op::kSumOfStore: text_ += Digits(sum(step.operand)); break;
        case Op::kMinOfStore: text_ += Digits(least(step.operand)); break;
        case Op::kMaxOfStore:
        case Op::kMax: text_ += Digits(most(step.operand)); break;
        case Op::kMin: text_ += Digits(MinimumOf(most(step.operand), most(program_.code[i + 1].operand))); break;
        case Op::kBucketCount:
        case Op::kBucketOffset:
        case Op::kBucketList: WriteBuckets(OpOf(step), *HistogramAt(program_, number, step.operand), FirstsOf(devices)); break;
        default: text_ += "0";
      }
    }
  }

  const ProgramView& program_;
  const Cells& cells_;
  const DeviceLists& devices_;
  const uint64_t made_;
  const uint32_t flushed_;
  std::string text_;
  std::map<uint32_t, uint64_t> bank_;
};

}  // namespace vmm

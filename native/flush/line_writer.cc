#include "flush/line_writer.h"

#include <cstring>

#include "base/clock.h"

namespace vmm {

namespace {

// How many numbers are compared with 0 together. Each is compared by itself only if one of them is not 0.
constexpr uint32_t kCheckedAtOnce = 8;

// Calls put(i) for each i below `count` whose bits are not all 0.
template <typename BitsOf, typename Put>
inline void ForEachNonZero(uint32_t count, BitsOf bits_of, Put put) {
  for (uint32_t begin = 0; begin < count; begin += kCheckedAtOnce) {
    uint64_t any = 0;
    uint32_t end = begin + kCheckedAtOnce;
    if (end <= count) {
#pragma GCC unroll 8
      for (uint32_t i = 0; i < kCheckedAtOnce; i++) any |= bits_of(begin + i);
    } else {
      end = count;
      for (uint32_t i = begin; i < end; i++) any |= bits_of(i);
    }
    if (any == 0) continue;
    for (uint32_t i = begin; i < end; i++) {
      if (bits_of(i) != 0) put(i);
    }
  }
}

bool IsRemoved(const Device& device) { return device.removed.load(std::memory_order_relaxed); }  // decides only how it is shown

bool HaveSameKey(const Device& a, const Device& b) {
  return a.key_bytes == b.key_bytes && std::memcmp(a.key, b.key, a.key_bytes) == 0;
}

}  // namespace

// Copies the text of a range and replaces zeros by numbers.
class LineWriter::Filling {
 public:
  Filling(const RangeTemplate& range, RawWriter& out) : range_(range), out_(out) {}
  ~Filling() { CopyTo(range_.bytes); }
  Filling(const Filling&) = delete;
  Filling& operator=(const Filling&) = delete;

  // Called in the order of the slots.
  void Put(uint32_t slot, uint64_t number) {
    CopyTo(range_.places[slot]);
    out_.Number(number);
    copied_++;
  }
  // Copies the text before an instruction that writes no number.
  void CopyUpTo(uint32_t slot) { CopyTo(range_.places[slot]); }

 private:
  void CopyTo(size_t place) {
    out_.PaddedText(range_.text + copied_, place - copied_);
    copied_ = place;
  }

  const RangeTemplate& range_;
  RawWriter& out_;
  size_t copied_ = 0;
};

void LineWriter::Write() {
  collection_.Collect(0, template_.runs(), template_.run_count());
  const RangeTemplate& line = template_.line();
  Filling filling(line, out_);
  for (uint32_t i = 0; i < line.stretch_count; i++) {
    const Stretch& stretch = line.stretches[i];
    switch (stretch.op) {
      case Op::kTimestamp: filling.Put(stretch.slot, static_cast<uint64_t>(RealtimeNs()) / 1'000'000); break;
      case Op::kDevices:
        filling.CopyUpTo(stretch.slot);
        WriteDevices(stretch.operand);
        break;
      default: FillStretch(stretch, 0, filling); break;
    }
  }
}

void LineWriter::FillStretch(const Stretch& stretch, uint32_t first_cell, Filling& filling) const {
  const uint32_t index = first_cell + stretch.operand;
  const Cell* const now = collection_.Now(index);
  switch (stretch.op) {
    case Op::kInc: {
      const Cell* const flushed = collection_.Flushed(index);
      ForEachNonZero(
          stretch.count, [&](uint32_t i) { return Read(now[i]) ^ Read(flushed[i]); },
          [&](uint32_t i) { filling.Put(stretch.slot + i, collection_.Delta(now[i], flushed[i])); });
      break;
    }
    case Op::kMin:
      if (const uint64_t minimum = MinimumOf(Read(*now), Read(*collection_.Now(index + 1))); minimum != 0) {
        filling.Put(stretch.slot, minimum);
      }
      break;
    default:
      ForEachNonZero(
          stretch.count, [&](uint32_t i) { return Read(now[i]); },
          [&](uint32_t i) { filling.Put(stretch.slot + i, Read(now[i])); });
      break;
  }
}

void LineWriter::WriteDevices(uint32_t number) {
  const ProgramView& program = template_.program();
  const GroupTemplate& group = template_.group(number);
  const bool has_aggregate = HasAggregate(program, number);
  const DeviceGroup& range = program.groups[number];
  std::memset(aggregate_, 0, (range.aggregate_end - range.aggregate_begin) * sizeof(*aggregate_));
  bool is_first = true;
  for (const Device* device = FirstOf(devices_[number]); device != nullptr;) {
    if (IsForNextLine(*device)) {  // this line may have no room for it
      device = After(*device);
      continue;
    }
    if (!has_aggregate && !device->is_hidden) {
      device = WriteNamesakes(group, *device);
      continue;
    }
    const bool has_changed = Collect(group, *device);
    const bool is_removed = IsRemoved(*device);
    if (!is_removed) WriteObject(group, *device, has_changed);
    if (has_changed || !group.may_copy) Fold(group, *device, is_removed, is_first);
    if (!is_removed) is_first = false;
    device = After(*device);
  }
  if (has_aggregate) WriteAggregate(group);
}

bool LineWriter::Collect(const GroupTemplate& group, const Device& device) const {
  return collection_.Collect(device.first_cell, group.runs, group.run_count);
}

void LineWriter::WriteObject(const GroupTemplate& group, const Device& device, bool has_changed) {
  out_.Text(device.key, device.key_bytes);
  Filling filling(group.fields, out_);
  if (!has_changed && group.may_copy) return;
  for (uint32_t i = 0; i < group.fields.stretch_count; i++) FillStretch(group.fields.stretches[i], device.first_cell, filling);
}

// Without an aggregate, the deltas that a removed device has left can be written only under its own key. Devices of the
// same id share that key and are one object in the line. The deltas of the object are the sums over all of them; its
// other values are those of the living device or, without one, of the last removed device with deltas.
const Device* LineWriter::WriteNamesakes(const GroupTemplate& group, const Device& begin) {
  const Device* shown = nullptr;
  const Device* end = &begin;
  bool has_changed = false;
  int count = 0;
  for (; end != nullptr && HaveSameKey(*end, begin); end = After(*end)) {
    if (IsForNextLine(*end)) continue;
    count++;
    if (Collect(group, *end)) has_changed = true;
    // The living device, which was made last, comes last.
    if (!IsRemoved(*end) || HasPending(group, *end)) shown = end;
  }
  if (shown == nullptr) return end;
  if (count == 1) {
    WriteObject(group, *shown, has_changed);
  } else {
    WriteSum(group, begin, end, *shown);
  }
  return end;
}

bool LineWriter::HasPending(const GroupTemplate& group, const Device& device) const {
  for (uint32_t i = 0; i < group.fields.stretch_count; i++) {
    const Stretch& stretch = group.fields.stretches[i];
    if (stretch.op != Op::kInc) continue;
    const uint32_t index = device.first_cell + stretch.operand;
    for (uint32_t at = index; at < index + stretch.count; at++) {
      if (collection_.Delta(*collection_.Now(at), *collection_.Flushed(at)) != 0) return true;
    }
  }
  return false;
}

void LineWriter::WriteSum(const GroupTemplate& group, const Device& begin, const Device* end, const Device& shown) {
  out_.Text(shown.key, shown.key_bytes);
  Filling filling(group.fields, out_);
  for (uint32_t i = 0; i < group.fields.stretch_count; i++) {
    const Stretch& stretch = group.fields.stretches[i];
    if (stretch.op != Op::kInc) {
      FillStretch(stretch, shown.first_cell, filling);
      continue;
    }
    for (uint32_t at = 0; at < stretch.count; at++) {
      uint64_t sum = 0;
      for (const Device* device = &begin; device != end; device = After(*device)) {
        const uint32_t index = device->first_cell + stretch.operand + at;
        if (!IsForNextLine(*device)) sum += collection_.Delta(*collection_.Now(index), *collection_.Flushed(index));
      }
      filling.Put(stretch.slot + at, sum);
    }
  }
}

void LineWriter::Fold(const GroupTemplate& group, const Device& device, bool is_removed, bool is_first) {
  for (uint32_t s = 0; s < group.aggregate.stretch_count; s++) {
    const Stretch& stretch = group.aggregate.stretches[s];
    const uint32_t index = device.first_cell + stretch.operand;
    const Cell* const now = collection_.Now(index);
    uint64_t* const running = aggregate_ + stretch.slot;
    if (stretch.op == Op::kSumOfInc) {
      const Cell* const flushed = collection_.Flushed(index);
      for (uint32_t i = 0; i < stretch.count; i++) running[i] += collection_.Delta(now[i], flushed[i]);
      continue;
    }
    // Only the deltas of a removed device count: nothing sets its other values any more.
    if (is_removed) continue;
    for (uint32_t i = 0; i < stretch.count; i++) {
      const uint64_t value = Read(now[i]);
      if (stretch.op == Op::kSumOfStore) {
        running[i] += value;
      } else if (stretch.op == Op::kMinOfStore ? is_first || value < running[i] : value > running[i]) {
        running[i] = value;
      }
    }
  }
}

void LineWriter::WriteAggregate(const GroupTemplate& group) {
  Filling filling(group.aggregate, out_);
  for (uint32_t s = 0; s < group.aggregate.stretch_count; s++) {
    const Stretch& stretch = group.aggregate.stretches[s];
    const uint64_t* const running = aggregate_ + stretch.slot;
    ForEachNonZero(
        stretch.count, [&](uint32_t i) { return stretch.op == Op::kMin ? MinimumOf(running[0], running[1]) : running[i]; },
        [&](uint32_t i) {
          filling.Put(stretch.slot + i, stretch.op == Op::kMin ? MinimumOf(running[0], running[1]) : running[i]);
        });
  }
}

}  // namespace vmm

#include "flush/line_writer.h"

#include <cstring>

#include "base/clock.h"
#include "flush/filling.h"

namespace vmm {

namespace {

// How many numbers are compared with 0 in one step. They are compared one by one only if any of them is not 0.
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

// Finds the cells of a device, or the schema's own, in the two banks. It computes addresses only when a multiple of
// kRunCells is crossed.
class LineWriter::Cursor {
 public:
  Cursor(const Collection& collection, uint32_t first_cell) : collection_(collection), first_cell_(first_cell) { MoveTo(0); }

  // The cell of that operand. The cells of the next operands follow it, up to a multiple of kRunCells.
  const Cell* Now(uint32_t operand) {
    if (operand - begin_ >= kRunCells) MoveTo(operand);
    return now_ + (operand - begin_);
  }
  const Cell* Flushed(uint32_t operand) {
    if (operand - begin_ >= kRunCells) MoveTo(operand);
    return flushed_ + (operand - begin_);
  }

 private:
  void MoveTo(uint32_t operand) {
    begin_ = operand / kRunCells * kRunCells;
    now_ = collection_.Now(first_cell_ + begin_);
    flushed_ = collection_.Flushed(first_cell_ + begin_);
  }

  const Collection& collection_;
  const uint32_t first_cell_;
  uint32_t begin_;
  const Cell* now_;
  const Cell* flushed_;
};

void LineWriter::Write() { FillRange(template_.line(), 0, collection_.Collect(0, template_.runs(), template_.run_count())); }

void LineWriter::FillRange(const RangeTemplate& range, uint32_t first_cell, uint64_t changes) {
  Filling filling(range, out_);
  Cursor cursor(collection_, first_cell);
  for (const Stretch* stretch = range.stretches; stretch != range.stretches + range.stretch_count; stretch++) {
    if ((stretch->bits & (changes | Stretch::kAlways)) == 0) continue;
    switch (stretch->op) {
      case Op::kTimestamp: filling.Put(stretch->slot, static_cast<uint64_t>(RealtimeNs()) / 1'000'000); break;
      case Op::kDevices:
        filling.CopyUpTo(stretch->slot);
        WriteDevices(stretch->operand);
        break;
      default: FillStretch(*stretch, cursor, filling); break;
    }
  }
}

void LineWriter::TakeBuckets(const uint64_t* deltas, BucketRange range, uint64_t count) {
  count_ = count;
  // The first bucket is the zero bucket, which has a number of its own.
  uint32_t begin = range.begin == 0 ? 1 : range.begin, end = range.end;
  while (begin < end && deltas[begin] == 0) begin++;
  while (begin < end && deltas[end - 1] == 0) end--;
  deltas_ = deltas;
  filled_ = begin < end ? BucketRange{begin, end} : BucketRange{};
}

void LineWriter::TakeSums(const Stretch& stretch) {
  const uint64_t* const sums = aggregate_ + stretch.sums;
  uint64_t count = 0;
  for (uint32_t i = 0; i < stretch.buckets->count; i++) count += sums[i];
  TakeBuckets(sums, BucketRange::All(*stretch.buckets), count);
}

void LineWriter::PutBuckets(const Stretch& stretch, Filling& filling) const {
  if (stretch.op == Op::kBucketCount) return filling.Put(stretch.slot, count_);
  if (stretch.op == Op::kBucketList) return filling.PutList(stretch.slot, deltas_ + filled_.begin, filled_.end - filled_.begin);
  if (filled_.begin != filled_.end) {
    filling.PutSigned(stretch.slot, int64_t{stretch.buckets->first_index} + filled_.begin - 1);
  }
}

inline void LineWriter::FillStretch(const Stretch& stretch, Cursor& cursor, Filling& filling) {
  const Cell* const now = cursor.Now(stretch.operand);
  switch (stretch.op) {
    case Op::kInc: {
      const Cell* const flushed = cursor.Flushed(stretch.operand);
      ForEachNonZero(
          stretch.count, [&](uint32_t i) { return Read(now[i]) ^ Read(flushed[i]); },
          [&](uint32_t i) { filling.Put(stretch.slot + i, collection_.Delta(now[i], flushed[i])); });
      break;
    }
    case Op::kBucketCount: {
      const BucketRange range = collection_.Range(*stretch.buckets, now);
      const uint64_t count = collection_.Deltas(now, cursor.Flushed(stretch.operand), range, deltas_of_one_);
      TakeBuckets(deltas_of_one_, range, count);
      PutBuckets(stretch, filling);
      break;
    }
    case Op::kBucketOffset:
    case Op::kBucketList: PutBuckets(stretch, filling); break;
    case Op::kMin:
      if (const uint64_t minimum = MinimumOf(Read(*now), Read(*cursor.Now(stretch.operand + 1))); minimum != 0) {
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
  bool is_first = true, has_folded = false;
  for (const Device* device = FirstOf(devices_[number]); device != nullptr;) {
    if (IsForNextLine(*device)) {  // this line may have no room for it
      device = After(*device);
      continue;
    }
    if (!has_aggregate && !device->is_hidden) {
      device = WriteNamesakes(group, *device);
      continue;
    }
    const uint64_t changes = Collect(group, *device);
    const bool is_removed = IsRemoved(*device);
    if (!is_removed) WriteObject(group, *device, changes);
    if (changes != 0 || !group.may_copy) {
      if (!has_folded) {
        std::memset(aggregate_, 0, group.running_values * sizeof(*aggregate_));
        has_folded = true;
      }
      Fold(group, *device, changes, is_removed, is_first);
    }
    if (!is_removed) is_first = false;
    device = After(*device);
  }
  if (has_folded) {
    WriteAggregate(group);
  } else {
    out_.PaddedText(group.aggregate.text, group.aggregate.bytes);
  }
}

uint64_t LineWriter::Collect(const GroupTemplate& group, const Device& device) const {
  return collection_.Collect(device.first_cell, group.runs, group.run_count);
}

void LineWriter::WriteObject(const GroupTemplate& group, const Device& device, uint64_t changes) {
  out_.Text(device.key, device.key_bytes);
  if (changes != 0 || !group.may_copy) {
    FillRange(group.fields, device.first_cell, changes);
  } else {
    out_.PaddedText(group.fields.text, group.fields.bytes);
  }
}

// Without an aggregate, the deltas that a removed device has left can be written only under its own key. Devices of the
// same id share that key and are one object in the line. The deltas of the object are the sums over all these devices.
// Its other values are those of the living device. If no device is living, they are those of the last removed device
// with deltas.
const Device* LineWriter::WriteNamesakes(const GroupTemplate& group, const Device& begin) {
  const Device* shown = nullptr;
  const Device* end = &begin;
  uint64_t changes = 0;
  int count = 0;
  for (; end != nullptr && HaveSameKey(*end, begin); end = After(*end)) {
    if (IsForNextLine(*end)) continue;
    count++;
    changes |= Collect(group, *end);
    // The living device, which was made last, comes last.
    if (!IsRemoved(*end) || HasPending(group, *end)) shown = end;
  }
  if (shown == nullptr) return end;
  if (count == 1) {
    WriteObject(group, *shown, changes);
  } else {
    WriteSum(group, begin, end, *shown);
  }
  return end;
}

bool LineWriter::HasPending(const GroupTemplate& group, const Device& device) const {
  for (uint32_t i = 0; i < group.fields.stretch_count; i++) {
    const Stretch& stretch = group.fields.stretches[i];
    if (stretch.op != Op::kInc && stretch.op != Op::kBucketCount) continue;
    const uint32_t index = device.first_cell + stretch.operand;
    BucketRange range = {0, stretch.count};
    if (stretch.op == Op::kBucketCount) range = collection_.Range(*stretch.buckets, collection_.Now(index));
    for (uint32_t at = index + range.begin; at < index + range.end; at++) {
      if (collection_.Delta(*collection_.Now(at), *collection_.Flushed(at)) != 0) return true;
    }
  }
  return false;
}

void LineWriter::WriteSum(const GroupTemplate& group, const Device& begin, const Device* end, const Device& shown) {
  out_.Text(shown.key, shown.key_bytes);
  Filling filling(group.fields, out_);
  Cursor cursor(collection_, shown.first_cell);
  for (uint32_t i = 0; i < group.fields.stretch_count; i++) {
    const Stretch& stretch = group.fields.stretches[i];
    if (IsOfBuckets(stretch.op)) {
      uint64_t* const sums = aggregate_ + stretch.sums;
      if (stretch.op == Op::kBucketCount) {
        std::memset(sums, 0, stretch.buckets->count * sizeof(*sums));
        for (const Device* device = &begin; device != end; device = After(*device)) {
          const uint32_t index = device->first_cell + stretch.operand;
          if (!IsForNextLine(*device)) FoldBuckets(stretch, collection_.Now(index), collection_.Flushed(index));
        }
        TakeSums(stretch);
      }
      PutBuckets(stretch, filling);
      continue;
    }
    if (stretch.op != Op::kInc) {
      FillStretch(stretch, cursor, filling);
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

void LineWriter::Fold(const GroupTemplate& group, const Device& device, uint64_t changes, bool is_removed, bool is_first) {
  Cursor cursor(collection_, device.first_cell);
  for (uint32_t s = 0; s < group.aggregate.stretch_count; s++) {
    const Stretch& stretch = group.aggregate.stretches[s];
    if ((stretch.bits & (changes | Stretch::kAlways)) == 0) continue;
    const Cell* const now = cursor.Now(stretch.operand);
    uint64_t* const running = aggregate_ + stretch.slot;
    if (stretch.op == Op::kSumOfInc) {
      const Cell* const flushed = cursor.Flushed(stretch.operand);
      for (uint32_t i = 0; i < stretch.count; i++) running[i] += collection_.Delta(now[i], flushed[i]);
      continue;
    }
    if (IsOfBuckets(stretch.op)) {
      // Once for the three ops of a histogram.
      if (stretch.op == Op::kBucketCount) FoldBuckets(stretch, now, cursor.Flushed(stretch.operand));
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

void LineWriter::FoldBuckets(const Stretch& stretch, const Cell* now, const Cell* flushed) {
  uint64_t* const sums = aggregate_ + stretch.sums;
  const BucketRange range = collection_.Range(*stretch.buckets, now);
  for (uint32_t i = range.begin; i < range.end; i++) sums[i] += collection_.Delta(now[i], flushed[i]);
}

void LineWriter::WriteAggregate(const GroupTemplate& group) {
  Filling filling(group.aggregate, out_);
  for (uint32_t s = 0; s < group.aggregate.stretch_count; s++) {
    const Stretch& stretch = group.aggregate.stretches[s];
    const uint64_t* const running = aggregate_ + stretch.slot;
    if (IsOfBuckets(stretch.op)) {
      if (stretch.op == Op::kBucketCount) TakeSums(stretch);
      PutBuckets(stretch, filling);
      continue;
    }
    ForEachNonZero(
        stretch.count, [&](uint32_t i) { return stretch.op == Op::kMin ? MinimumOf(running[0], running[1]) : running[i]; },
        [&](uint32_t i) {
          filling.Put(stretch.slot + i, stretch.op == Op::kMin ? MinimumOf(running[0], running[1]) : running[i]);
        });
  }
}

}  // namespace vmm

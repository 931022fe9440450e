// Program: unsound programs are refused before they run, and sound programs write the right lines.

#include "flush/program.h"

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "check.h"
#include "flush/line_writer.h"
#include "rig.h"
#include "schema_builder.h"

namespace vmm {
namespace {

// A program with every op.
StoreSpec EveryOp() {
  return SchemaBuilder()
      .Timestamp("utc")
      .Group("g", {Inc("i"), Gauge("s"), Latency("l")})
      .PerDevice("d", {Inc("i"), Gauge("sum"), Gauge("min", Op::kMinOfStore), Gauge("max", Op::kMaxOfStore), Latency("l")})
      .PerDevice("z", {Latency("l"), Inc("i")}, Aggregate::kZeroLatency)
      .PerDevice("n", {Inc("i")}, Aggregate::kNone)
      .Build("every op");
}

bool IsSoundSpec(const StoreSpec& spec) { return IsSound(ViewOf(spec)); }

Op OpAt(const StoreSpec& spec, size_t i) { return static_cast<Op>(spec.code[i].op); }

// Finds the first instruction with that op in [begin, end). The schema must have one.
size_t Find(const StoreSpec& spec, Op op, size_t begin, size_t end) {
  while (begin < end && OpAt(spec, begin) != op) begin++;
  CHECK(begin < end);
  return begin;
}

TEST("given a program of the schema compiler, when it is checked, then it is sound") {
  CHECK(IsSoundSpec(EveryOp()));
  CHECK(IsSoundSpec(SchemaBuilder().Build("nothing")));
  CHECK(IsSoundSpec(SchemaBuilder().PerDevice("d", {Inc("i")}).Build("only devices")));
}

TEST("given a sound program, when any instruction's literal ends beyond the literals, then it is refused") {
  const StoreSpec sound = EveryOp();
  const uint32_t all = static_cast<uint32_t>(sound.literals.size());
  for (size_t i = 0; i < sound.code.size(); i++) {
    const struct {
      uint32_t offset, bytes;
    } cases[] = {{all, 1}, {all + 1, 0}, {0, all + 1}, {1, all}, {~0u, 0}, {~0u, 1}, {0, ~0u}, {1, ~0u}, {~0u, ~0u}};
    for (const auto& c : cases) {
      StoreSpec spec = sound;
      spec.code[i].literal_offset = c.offset;
      spec.code[i].literal_bytes = c.bytes;
      if (!CHECK(!IsSoundSpec(spec))) std::printf("  instruction %zu, %u bytes at %u\n", i, c.bytes, c.offset);
    }
    StoreSpec spec = sound;
    spec.code[i].literal_offset = all;
    spec.code[i].literal_bytes = 0;
    CHECK(IsSoundSpec(spec));  // an empty text at the very end is sound
  }
}

TEST("given a sound program, when any instruction's operand is out of range, then it is refused") {
  const StoreSpec sound = EveryOp();
  // The place of an instruction decides how many cells or groups it can name.
  const auto check_range = [&](uint32_t begin, uint32_t end, size_t cells) {
    for (uint32_t i = begin; i < end; i++) {
      const Op op = OpAt(sound, i);
      if (op == Op::kText || op == Op::kTimestamp || op == Op::kZero) continue;
      const uint32_t limit = static_cast<uint32_t>(op == Op::kDevices ? sound.groups.size() : cells);
      for (const uint32_t operand : {limit, limit + 1, 0x7fffffffu, 0x80000000u, ~0u - 1, ~0u}) {
        StoreSpec spec = sound;
        spec.code[i].operand = operand;
        if (!CHECK(!IsSoundSpec(spec))) std::printf("  instruction %u, op %u, operand %u\n", i, sound.code[i].op, operand);
      }
      if (op == Op::kMin) {  // kMin reads the next cell too
        StoreSpec spec = sound;
        spec.code[i].operand = limit - 1;
        CHECK(!IsSoundSpec(spec));
      }
    }
  };
  check_range(0, sound.main_end, sound.kinds.size());
  for (const DeviceGroup& group : sound.groups) {
    check_range(group.fields_begin, group.fields_end, group.cells);
    check_range(group.aggregate_begin, group.aggregate_end, group.cells);
  }
}

TEST("given a sound program, when an op is where it has no meaning, then the program is refused") {
  const StoreSpec sound = EveryOp();
  const auto is_sound_with = [&](size_t i, Op op) {
    StoreSpec spec = sound;
    spec.code[i].op = static_cast<uint32_t>(op);
    spec.code[i].operand = 0;
    return IsSoundSpec(spec);
  };
  const DeviceGroup& group = sound.groups[0];
  const size_t in_main = Find(sound, Op::kInc, 0, sound.main_end);
  const size_t in_fields = Find(sound, Op::kInc, group.fields_begin, group.fields_end);
  const size_t in_aggregate = Find(sound, Op::kSumOfInc, group.aggregate_begin, group.aggregate_end);
  for (const uint32_t unknown : {12u, 13u, 255u, 0x80000000u, ~0u}) {
    for (const size_t i : {in_main, in_fields, in_aggregate}) CHECK(!is_sound_with(i, static_cast<Op>(unknown)));
  }
  for (const Op op : {Op::kSumOfInc, Op::kSumOfStore, Op::kMinOfStore, Op::kMaxOfStore}) {
    CHECK(!is_sound_with(in_main, op));
    CHECK(!is_sound_with(in_fields, op));
    CHECK(is_sound_with(in_aggregate, op));
  }
  for (const Op op : {Op::kInc, Op::kStore}) {
    CHECK(is_sound_with(in_main, op));
    CHECK(is_sound_with(in_fields, op));
    CHECK(!is_sound_with(in_aggregate, op));
  }
  for (const Op op : {Op::kTimestamp, Op::kDevices}) {
    CHECK(is_sound_with(in_main, op));
    CHECK(!is_sound_with(in_fields, op));
    CHECK(!is_sound_with(in_aggregate, op));
  }
  // The maximum must follow the minimum, and in an aggregate their running values must be neighbours.
  for (const size_t i : {in_main, in_fields, in_aggregate}) CHECK(!is_sound_with(i, Op::kMin));
  for (size_t i = 0; i < sound.code.size(); i++) {
    if (OpAt(sound, i) == Op::kMin) CHECK(!is_sound_with(i + 1, Op::kText));
  }
}

TEST("given a 0 outside an aggregate, when it is checked, then the program is refused, because no line has a 0 there") {
  const StoreSpec sound = EveryOp();
  for (const size_t i : {Find(sound, Op::kInc, 0, sound.main_end),
                         Find(sound, Op::kInc, sound.groups[0].fields_begin, sound.groups[0].fields_end)}) {
    StoreSpec spec = sound;
    spec.code[i].op = static_cast<uint32_t>(Op::kZero);
    CHECK(!IsSoundSpec(spec));
  }
}

TEST("given a sound program, when a range of instructions is out of range or backwards, then it is refused") {
  const StoreSpec sound = EveryOp();
  const uint32_t all = static_cast<uint32_t>(sound.code.size());
  for (const uint32_t end : {all + 1, ~0u}) {
    StoreSpec spec = sound;
    spec.main_end = end;
    CHECK(!IsSoundSpec(spec));
  }
  for (size_t g = 0; g < sound.groups.size(); g++) {
    const struct {
      uint32_t begin, end;
    } cases[] = {{0, all + 1}, {all, all + 1}, {1, 0}, {all + 1, all + 1}, {~0u, ~0u}, {0, ~0u}, {~0u, 0}};
    for (const auto& c : cases) {
      StoreSpec fields = sound;
      fields.groups[g].fields_begin = c.begin;
      fields.groups[g].fields_end = c.end;
      CHECK(!IsSoundSpec(fields));
      StoreSpec aggregate = sound;
      aggregate.groups[g].aggregate_begin = c.begin;
      aggregate.groups[g].aggregate_end = c.end;
      CHECK(!IsSoundSpec(aggregate));
    }
    // The last cell of a latency is its count, which no line shows.
    const std::vector<CellKind>& kinds = sound.group_kinds[g];
    const bool is_latency = kinds.size() > 3 && kinds[kinds.size() - 4] == CellKind::kMin;
    for (const uint32_t fewer : {0u, sound.groups[g].cells - (is_latency ? 2 : 1)}) {
      StoreSpec spec = sound;
      spec.groups[g].cells = fewer;
      CHECK(!IsSoundSpec(spec));
    }
  }
  StoreSpec none = SchemaBuilder().PerDevice("d", {Inc("i")}, Aggregate::kNone).Build("");
  none.groups[0] = {0, 0, 0, 0, 0};
  CHECK(!IsSoundSpec(none));  // each device needs a cell of its own
  StoreSpec half = sound;     // a minimum at the end of a range
  half.main_end = static_cast<uint32_t>(Find(sound, Op::kMin, 0, sound.main_end)) + 1;
  CHECK(!IsSoundSpec(half));
  ProgramView fewer = ViewOf(sound);
  fewer.static_cells -= 2;  // the last cell is a count, which no line shows
  CHECK(!IsSound(fewer));
}

// The test runs each program as a flush would. Each buffer is exactly as large as its bound, so that AddressSanitizer
// reports an access beyond the buffer.
std::string RunOnce(const Rig& rig, uint32_t bank, uint32_t flushed, uint64_t made) {
  const uint64_t bytes = rig.line_bytes;
  const std::unique_ptr<char[]> text(new char[bytes]);
  const std::unique_ptr<uint64_t[]> aggregate(new uint64_t[AggregateMax(rig.program)]);
  RawWriter out(text.get(), bytes);
  const ShardSelection all = ShardSelection::All(rig.cells.shards_used());
  const Collection collection(rig.cells, all, bank, flushed);
  LineWriter(rig.line_template, collection, rig.devices.lists(), made, aggregate.get(), out).Write();
  CHECK(!out.overflowed());
  return std::string(text.get(), out.size());
}

TEST("given randomly damaged programs, when those that pass the check are run, then they stay within their buffers") {
  Rig rig(EveryOp());
  for (uint32_t group = 0; group < 3; group++) {
    rig.AddDevice(group, "a");
    rig.AddDevice(group, "b");
  }
  const StoreSpec sound = EveryOp();
  std::mt19937 random(20240229);
  int still_sound = 0;
  for (int round = 0; round < 30'000; round++) {
    std::vector<Instruction> code = sound.code;
    std::vector<DeviceGroup> groups = sound.groups;
    uint32_t main_end = sound.main_end;
    for (unsigned changes = 1 + random() % 3; changes > 0; changes--) {
      uint32_t* const words[] = {&code[random() % code.size()].op,
                                 &code[random() % code.size()].literal_offset,
                                 &code[random() % code.size()].literal_bytes,
                                 &code[random() % code.size()].operand,
                                 &code[random() % code.size()].operand,
                                 &groups[random() % groups.size()].fields_begin,
                                 &groups[random() % groups.size()].fields_end,
                                 &groups[random() % groups.size()].aggregate_begin,
                                 &groups[random() % groups.size()].aggregate_end,
                                 &main_end};
      uint32_t& word = *words[random() % 10];
      const uint32_t values[] = {0, word + 1, word - 1, static_cast<uint32_t>(random() % 64), ~0u, 0x80000000u};
      word = values[random() % 6];
    }
    const ProgramView view = {code.data(),
                              static_cast<uint32_t>(code.size()),
                              main_end,
                              groups.data(),
                              static_cast<uint32_t>(groups.size()),
                              sound.literals.data(),
                              static_cast<uint32_t>(sound.literals.size()),
                              static_cast<uint32_t>(sound.kinds.size())};
    if (!IsSound(view)) continue;
    still_sound++;
    // A group that is in the line twice may be too long for the buffer. It must be cut off, and nothing worse may
    // happen.
    const std::unique_ptr<char[]> text(new char[LineBytesMax(view)]);
    const std::unique_ptr<uint64_t[]> aggregate(new uint64_t[AggregateMax(view)]);
    RawWriter out(text.get(), LineBytesMax(view));
    LineTemplate line_template;
    MakeTemplate(sound, view, &line_template);
    const ShardSelection all = ShardSelection::All(rig.cells.shards_used());
    const Collection collection(rig.cells, all, 1, 0);
    LineWriter(line_template, collection, rig.devices.lists(), rig.devices.lists().made, aggregate.get(), out).Write();
  }
  CHECK(still_sound > 1000);
}

struct Lined : Rig {
  using Rig::Rig;
  // Runs one flush into text. Banks 1 and 2 take turns as the committed values and the working copy.
  std::string Line() {
    const uint32_t bank = flushed_ == 1 ? 2 : 1;
    const std::string text = RunOnce(*this, bank, flushed_, devices.lists().made);
    flushed_ = bank;
    return text;
  }
  uint32_t flushed_ = 0;
};

TEST(
    "given static metrics, when a line is written, then an inc is what came since the last line, and the others are their "
    "values") {
  Lined rig(SchemaBuilder().Group("g", {Inc("i"), Gauge("s"), Latency("l")}).Group("h", {Inc("i")}).Build(""));
  CHECK_EQ(rig.Line(), R"(,"g":{"i":0,"s":0,"l":{"min_us":0,"max_us":0,"sum_us":0}},"h":{"i":0})");
  rig.Add("g.i", 5);
  rig.Add("h.i", UINT64_MAX);
  Set(rig.At("g.s"), 7);
  const uint32_t latency = CellOf(rig.spec, "g.l");
  for (const uint64_t us : {30, 20, 40}) {
    RaiseShared(rig.cells.Shared(latency), ~us);
    RaiseShared(rig.cells.Shared(latency + 1), us);
    AddShared(rig.cells.Shared(latency + 2), us);
  }
  CHECK_EQ(rig.Line(), R"(,"g":{"i":5,"s":7,"l":{"min_us":20,"max_us":40,"sum_us":90}},"h":{"i":18446744073709551615})");
  CHECK_EQ(rig.Line(), R"(,"g":{"i":0,"s":7,"l":{"min_us":20,"max_us":40,"sum_us":0}},"h":{"i":0})");
  RaiseShared(rig.cells.Shared(latency), UINT64_MAX);  // a minimum of 0 us
  rig.Add("h.i", 2);                                   // past the wrap
  CHECK_EQ(rig.Line(), R"(,"g":{"i":0,"s":7,"l":{"min_us":0,"max_us":40,"sum_us":0}},"h":{"i":2})");
}

TEST("given a timestamp, when a line is written, then it has the wall clock in milliseconds") {
  Lined rig(SchemaBuilder().Timestamp("utc_timestamp_ms").Build(""));
  const int64_t before_ns = RealtimeNs();
  const std::string text = rig.Line();
  const int64_t after_ns = RealtimeNs();
  const std::string key = ",\"utc_timestamp_ms\":";
  CHECK_EQ(text.substr(0, key.size()), key);
  const uint64_t now_ms = std::stoull(text.substr(key.size()));
  CHECK(now_ms >= static_cast<uint64_t>(before_ns) / 1'000'000);
  CHECK(now_ms <= static_cast<uint64_t>(after_ns) / 1'000'000);
}

TEST(
    "given devices, when a line is written, then they stand sorted before their aggregate, which is the sum of what the line "
    "says of each") {
  Lined rig(SchemaBuilder().PerDevice("d", {Inc("i"), Gauge("s")}).Group("g", {Inc("i")}).Build(""));
  CHECK_EQ(rig.Line(), R"(,"d":{"i":0,"s":0},"g":{"i":0})");
  const Device* b = rig.AddDevice(0, "b");
  const Device* a = rig.AddDevice(0, "a");
  AddShared(rig.At(a, 0, "i"), 1);
  AddShared(rig.At(b, 0, "i"), 20);
  Set(rig.At(a, 0, "s"), 3);
  Set(rig.At(b, 0, "s"), 40);
  CHECK_EQ(rig.Line(), R"(,"d_a":{"i":1,"s":3},"d_b":{"i":20,"s":40},"d":{"i":21,"s":43},"g":{"i":0})");
  CHECK_EQ(rig.Line(), R"(,"d_a":{"i":0,"s":3},"d_b":{"i":0,"s":40},"d":{"i":0,"s":43},"g":{"i":0})");
}

TEST(
    "given aggregates of each kind, when a line is written, then stores are the sum, minimum or maximum, and latencies have "
    "extremes and sum") {
  const std::vector<Field> fields = {Gauge("sum"), Gauge("min", Op::kMinOfStore), Gauge("max", Op::kMaxOfStore), Latency("l")};
  Lined rig(SchemaBuilder().PerDevice("d", fields).Build(""));
  const auto aggregate = [&] {
    const std::string text = rig.Line();
    return text.substr(text.find(",\"d\":"));
  };
  CHECK_EQ(aggregate(), R"(,"d":{"sum":0,"min":0,"max":0,"l":{"min_us":0,"max_us":0,"sum_us":0}})");
  struct {
    const char* id;
    uint64_t store, us;
  } const devices[] = {{"b", 50, 9}, {"a", 70, 4}, {"c", 60, 6}};
  for (const auto& d : devices) {
    const Device* device = rig.AddDevice(0, d.id);
    for (const char* field : {"sum", "min", "max"}) Set(rig.At(device, 0, field), d.store);
    const uint32_t latency = device->first_cell + CellOf(rig.spec, 0, "l");
    Set(rig.cells.Shared(latency), ~d.us);
    Set(rig.cells.Shared(latency + 1), d.us);
    Set(rig.cells.Shared(latency + 2), d.us);
  }
  CHECK_EQ(aggregate(), R"(,"d":{"sum":180,"min":50,"max":70,"l":{"min_us":4,"max_us":9,"sum_us":19}})");
  // A latency metric without observations does not change the minimum; a store metric with 0 does.
  rig.AddDevice(0, "z");
  CHECK_EQ(aggregate(), R"(,"d":{"sum":180,"min":0,"max":70,"l":{"min_us":4,"max_us":9,"sum_us":0}})");
}

TEST(
    "given an aggregate with zeros for extremes, when a line is written, then its minimum and maximum are 0 and its sum is not") {
  Lined rig(SchemaBuilder().PerDevice("z", {Latency("l"), Inc("i")}, Aggregate::kZeroLatency).Build(""));
  const Device* device = rig.AddDevice(0, "a");
  const uint32_t latency = device->first_cell + CellOf(rig.spec, 0, "l");
  Set(rig.cells.Shared(latency), ~uint64_t{5});
  Set(rig.cells.Shared(latency + 1), 5);
  Set(rig.cells.Shared(latency + 2), 5);
  CHECK_EQ(rig.Line(),
           R"(,"z_a":{"l":{"min_us":5,"max_us":5,"sum_us":5},"i":0},"z":{"l":{"min_us":0,"max_us":0,"sum_us":5},"i":0})");
}

TEST(
    "given a group without an aggregate, when a line is written, then it has the objects of the devices, and nothing where there "
    "are none") {
  Lined rig(SchemaBuilder().PerDevice("n", {Inc("i")}, Aggregate::kNone).Group("g", {Inc("i")}).Build(""));
  CHECK_EQ(rig.Line(), R"(,"g":{"i":0})");
  rig.AddDevice(0, "a");
  CHECK_EQ(rig.Line(), R"(,"n_a":{"i":0},"g":{"i":0})");
}

TEST(
    "given a removed device, when a line is written, then the device is not in it, and what it still counts is in the "
    "aggregate") {
  const std::vector<Field> fields = {Inc("i"), Gauge("sum"), Gauge("min", Op::kMinOfStore), Gauge("max", Op::kMaxOfStore),
                                     Latency("l")};
  Lined rig(SchemaBuilder().PerDevice("d", fields).Build(""));
  const Device* gone = rig.AddDevice(0, "a");
  const Device* kept = rig.AddDevice(0, "b");
  const auto observe = [&](const Device* device, uint64_t us, uint64_t store) {
    const uint32_t latency = device->first_cell + CellOf(rig.spec, 0, "l");
    Set(rig.cells.Shared(latency), ~us);
    Set(rig.cells.Shared(latency + 1), us);
    AddShared(rig.cells.Shared(latency + 2), us);
    for (const char* field : {"sum", "min", "max"}) Set(rig.At(device, 0, field), store);
  };
  observe(gone, 1, 1);
  observe(kept, 5, 5);
  AddShared(rig.At(gone, 0, "i"), 10);
  AddShared(rig.At(kept, 0, "i"), 3);
  CHECK(rig.devices.Remove(0, "a"));
  const std::string kept_store = R"("sum":5,"min":5,"max":5,"l":{"min_us":5,"max_us":5,"sum_us":)";
  CHECK_EQ(rig.Line(), R"(,"d_b":{"i":3,)" + kept_store + R"(5}},"d":{"i":13,)" + kept_store + "6}}");
  AddShared(rig.At(gone, 0, "i"), 4);  // through a stale accessor
  CHECK_EQ(rig.Line(), R"(,"d_b":{"i":0,)" + kept_store + R"(0}},"d":{"i":4,)" + kept_store + "0}}");

  // A new device with the same id starts at 0.
  rig.AddDevice(0, "a");
  const std::string fresh = R"(,"d_a":{"i":0,"sum":0,"min":0,"max":0,"l":{"min_us":0,"max_us":0,"sum_us":0}})";
  CHECK_EQ(rig.Line().substr(0, fresh.size()), fresh);

  CHECK(rig.devices.Remove(0, "a"));
  CHECK(rig.devices.Remove(0, "b"));
  AddShared(rig.At(kept, 0, "i"), 2);
  CHECK_EQ(rig.Line(), R"(,"d":{"i":2,"sum":0,"min":0,"max":0,"l":{"min_us":0,"max_us":0,"sum_us":0}})");
}

TEST(
    "given a device that was made after a line had counted the devices, when lines are written, then the next line has it, and "
    "nothing is lost") {
  Lined rig(SchemaBuilder().PerDevice("d", {Inc("i")}).PerDevice("n", {Inc("i")}, Aggregate::kNone).Build(""));
  const uint64_t made = rig.devices.lists().made;
  const Device* late = rig.AddDevice(0, "a");
  AddShared(rig.At(late, 0, "i"), 3);
  AddShared(rig.At(rig.AddDevice(1, "a"), 1, "i"), 4);
  CHECK_EQ(RunOnce(rig, 1, 0, made), R"(,"d":{"i":0})");
  rig.flushed_ = 1;
  CHECK_EQ(rig.Line(), R"(,"d_a":{"i":3},"d":{"i":3},"n_a":{"i":4})");
}

TEST(
    "given a group without an aggregate, when a new device has the id of a removed one, then its object has what the removed one "
    "had pending") {
  Lined rig(SchemaBuilder().PerDevice("n", {Inc("i"), Gauge("s"), Latency("l")}, Aggregate::kNone).Build(""));
  const auto count = [&](const Device* device, uint64_t n) {
    AddShared(rig.At(device, 0, "i"), n);
    Set(rig.At(device, 0, "s"), 10 * n);
    const uint32_t latency = device->first_cell + CellOf(rig.spec, 0, "l");
    RaiseShared(rig.cells.Shared(latency), ~n);
    RaiseShared(rig.cells.Shared(latency + 1), n);
    AddShared(rig.cells.Shared(latency + 2), n);
  };
  const auto object = [](const char* i, const char* s, const char* min, const char* max, const char* sum) {
    return std::string("{\"i\":") + i + ",\"s\":" + s + ",\"l\":{\"min_us\":" + min + ",\"max_us\":" + max +
           ",\"sum_us\":" + sum + "}}";
  };
  const Device* first = rig.AddDevice(0, "a");
  rig.AddDevice(0, "aa");
  count(first, 10);
  CHECK(rig.devices.Remove(0, "a", true));
  const Device* second = rig.AddDevice(0, "a");
  const std::string other = ",\"n_aa\":" + object("0", "0", "0", "0", "0");
  CHECK_EQ(rig.Line(), ",\"n_a\":" + object("10", "0", "0", "0", "10") + other);
  count(first, 3);
  count(second, 7);
  CHECK_EQ(rig.Line(), ",\"n_a\":" + object("10", "70", "7", "7", "10") + other);
  CHECK_EQ(rig.Line(), ",\"n_a\":" + object("0", "70", "7", "7", "0") + other);
  // No device has the id any more: the line shows the last removed device with pending counts.
  CHECK(rig.devices.Remove(0, "a", true));
  CHECK_EQ(rig.Line(), other);
  count(first, 2);
  CHECK_EQ(rig.Line(), ",\"n_a\":" + object("2", "20", "2", "10", "2") + other);
  count(first, 1);
  count(second, 5);
  CHECK_EQ(rig.Line(), ",\"n_a\":" + object("6", "50", "5", "7", "6") + other);
  CHECK_EQ(rig.Line(), other);
}

TEST("given every value at its longest, when a line is written, then it fits into the room that was computed for it") {
  Lined rig(EveryOp());
  for (uint32_t group = 0; group < 3; group++) {
    for (const char* id : {"a", "\"\\\n\x01", "b"}) rig.AddDevice(group, id);
  }
  for (uint32_t index = 0; index < rig.cells.used(); index++) Set(rig.cells.Shared(index), 18'000'000'000'000'000'000u);
  CHECK(rig.Line().size() + 3 <= rig.line_bytes);  // RunOnce checks that nothing was cut off
}

}  // namespace
}  // namespace vmm

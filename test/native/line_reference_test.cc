// LineWriter against the reference: random programs, values, owners of shards, devices and removals, and the loss of
// memory. The lines are equal byte for byte, and the working bank is equal cell for cell.

#include "line_reference.h"

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "dice.h"
#include "file_region.h"
#include "flush/devices.h"
#include "flush/line_writer.h"
#include "schema_builder.h"

namespace vmm {
namespace {

// Long stretches of one kind, as schemas have them, and any mixture.
std::vector<CellKind> RandomKinds(Dice& dice, uint32_t count) {
  const std::vector<CellKind> all = {CellKind::kNone, CellKind::kInc, CellKind::kStore, CellKind::kMin, CellKind::kMax};
  std::vector<CellKind> kinds;
  while (kinds.size() < count) {
    const CellKind kind = dice.OneIn(3) ? dice.OneOf(all) : CellKind::kInc;
    for (uint32_t n = 1 + (dice.OneIn(2) ? dice.Below(30) : 0); n > 0 && kinds.size() < count; n--) kinds.push_back(kind);
  }
  return kinds;
}

// A sound program of no schema in particular: any op on a cell of any kind, in any order.
class AnyProgram {
 public:
  explicit AnyProgram(Dice& dice) : dice_(dice) {}

  StoreSpec Make() {
    spec_.kinds = RandomKinds(dice_, 2 + dice_.Below(dice_.OneIn(4) ? 1200 : 200));
    const uint32_t groups = dice_.Below(4);
    const auto cells = static_cast<uint32_t>(spec_.kinds.size());
    for (uint32_t steps = dice_.Below(60); steps > 0; steps--) {
      if (dice_.OneIn(20)) Emit(Op::kTimestamp, 0);
      if (groups != 0 && dice_.OneIn(10)) Emit(Op::kDevices, dice_.Below(groups));
      EmitFields(cells, {Op::kInc, Op::kStore});
    }
    spec_.main_end = here();
    for (uint32_t g = 0; g < groups; g++) AddGroup(g);
    return std::move(spec_);
  }

 private:
  uint32_t here() const { return static_cast<uint32_t>(spec_.code.size()); }

  void AddGroup(uint32_t number) {
    const std::vector<CellKind> kinds = RandomKinds(dice_, 2 + dice_.Below(dice_.OneIn(8) ? 700 : 40));
    const auto cells = static_cast<uint32_t>(kinds.size());
    const uint32_t begin = here();
    for (uint32_t steps = dice_.Below(12); steps > 0; steps--) EmitFields(cells, {Op::kInc, Op::kStore});
    const uint32_t end = here();
    const std::vector<Op> folds = {Op::kSumOfInc, Op::kSumOfInc, Op::kSumOfStore, Op::kMinOfStore, Op::kMaxOfStore, Op::kZero};
    for (uint32_t steps = dice_.OneIn(3) ? 0 : 1 + dice_.Below(12); steps > 0; steps--) EmitFields(cells, folds);
    spec_.groups.push_back({cells, begin, end, end, here()});
    spec_.group_names.push_back("g" + std::to_string(number));
    spec_.group_kinds.push_back(kinds);
    spec_.group_metrics.push_back({});
  }

  // Neighbours, or anything.
  void EmitFields(uint32_t cells, const std::vector<Op>& ops) {
    const Op op = dice_.OneOf(ops);
    switch (dice_.Below(5)) {
      case 0: return Emit(Op::kText, 0);
      case 1: return EmitExtremes(dice_.Below(cells - 1), cells);
      case 2: return Emit(op, dice_.Below(cells));
      default: break;
    }
    uint32_t cell = dice_.Below(cells);
    for (uint32_t n = 1 + dice_.Below(25); n > 0 && cell < cells; n--) Emit(op, cell++);
  }
  void EmitExtremes(uint32_t minimum, uint32_t cells) {
    Emit(Op::kMin, minimum);
    Emit(Op::kMax, dice_.OneIn(4) ? dice_.Below(cells) : minimum + 1);
  }
  void Emit(Op op, uint32_t operand) {
    const std::string text = dice_.Text();
    spec_.code.push_back(
        {static_cast<uint32_t>(op), static_cast<uint32_t>(spec_.literals.size()), static_cast<uint32_t>(text.size()), operand});
    spec_.literals += text;
  }

  Dice& dice_;
  StoreSpec spec_;
};

// As the schema compiler makes it.
StoreSpec AnySchema(Dice& dice) {
  int count = 0;
  const auto fields = [&] {
    std::vector<Field> made;
    for (uint32_t n = 1 + dice.Below(30); n > 0; n--) {
      const std::string name = "metric_" + std::to_string(count++);
      const Op aggregate = dice.OneOf<Op>({Op::kSumOfStore, Op::kMinOfStore, Op::kMaxOfStore});
      made.push_back(dice.OneIn(5)    ? Latency(name)
                     : dice.OneIn(12) ? Distribution(name)
                     : dice.OneIn(30) ? HiddenDistribution(name)
                     : dice.OneIn(5)  ? Gauge(name, aggregate)
                                      : Inc(name));
    }
    return made;
  };
  SchemaBuilder schema;
  if (dice.OneIn(2)) schema.Timestamp("utc_timestamp_ms");
  for (uint32_t n = 1 + dice.Below(10); n > 0; n--) {
    const std::string key = "group_" + std::to_string(n);
    if (dice.OneIn(3)) {
      schema.PerDevice(key, fields(), dice.OneOf<Aggregate>({Aggregate::kNone, Aggregate::kExtremum, Aggregate::kZeroLatency}));
    } else {
      schema.Group(key, fields());
    }
  }
  return schema.Build("");
}

// One store's cells and devices, and lines of them.
class Scene {
 public:
  Scene(Dice& dice, StoreSpec made, bool has_file)
      : dice_(dice), spec_(std::move(made)), program_(ViewOf(spec_)), devices_(spec_.group_names, {}) {
    CHECK(IsSound(program_));
    MakeTemplate(spec_, program_, &template_);
    CHECK(cells_.Create({0x1234, "{}", 2, has_file ? OpenLocked(folder_ / "region") : -1}).ok());
    uint32_t first = 0;
    CHECK(cells_.Reserve(spec_.kinds.data(), static_cast<uint32_t>(spec_.kinds.size()), &first).ok());
    NoteHistograms(kNoGroup, first);
    cells_.Publish();
    for (uint32_t g = 0; g < program_.group_count; g++) {
      if (dice_.OneIn(2)) devices_.LinkHidden(g, devices_.MakeHidden(Reserve(g)));
    }
    gone_.resize(program_.group_count);
  }

  // How many bytes the line had.
  size_t NextLine() {
    if (dice_.OneIn(2)) ChangeDevices();
    if (dice_.OneIn(4)) ChangeOwners();
    Count();
    const uint64_t all_made = devices_.lists().made.load(std::memory_order_relaxed);  // nobody else is here
    const uint64_t made = all_made != 0 && dice_.OneIn(8) ? all_made - dice_.Below(2) : all_made;
    const uint32_t bank = (flushed_ + 1 + dice_.Below(2)) % kBanks;
    std::vector<uint64_t> expected;
    for (uint32_t index = 0; index < cells_.used(); index++) expected.push_back(Read(cells_.region().InBank(bank, index)));
    const LineReference reference(program_, cells_, devices_.lists(), made, flushed_);
    for (const auto& [index, value] : reference.bank()) expected[index] = value;

    const size_t bytes = Compare(reference.text(), Line(bank, made, reference.text().size()));
    for (uint32_t index = 0; index < cells_.used(); index++) {
      if (!CHECK_EQ(Read(cells_.region().InBank(bank, index)), expected[index])) break;
    }
    flushed_ = bank;
    return bytes;
  }

  // Cuts the file at a row of the region's first chunk: from now on, this row and everything behind it is 0.
  void LoseMemory() {
    if (cells_.used() == 0) return;
    const uint32_t row = dice_.OneIn(3) ? dice_.Below(kBanks) : kFirstShardRow + dice_.Below(cells_.shards_used());
    CHECK_EQ(truncate((folder_ / "region").c_str(), static_cast<off_t>(cells_.region().OffsetOf(row, 0))), 0);
    // Reserving one more chunk makes the file as long as before, with a hole in it.
    const std::vector<CellKind> gap(cells_.region().chunk_cells(), CellKind::kNone);
    uint32_t first = 0;
    CHECK(cells_.Reserve(gap.data(), static_cast<uint32_t>(gap.size()), &first).ok());
    CHECK(cells_.region().is_degraded());
  }

 private:
  uint32_t Reserve(uint32_t group) {
    const std::vector<CellKind>& kinds = spec_.group_kinds[group];
    uint32_t first = 0;
    CHECK(cells_.Reserve(kinds.data(), static_cast<uint32_t>(kinds.size()), &first).ok());
    NoteHistograms(group, first);
    cells_.Publish();
    return first;
  }

  void NoteHistograms(uint32_t group, uint32_t first) {
    for (const LineHistogram& one : spec_.histograms) {
      if (one.group != group) continue;
      const uint32_t begin = first + one.first_bucket - kFirstBucket;
      for (uint32_t i = 0; i < kFirstBucket + one.buckets->count; i++) histogram_of_[begin + i] = begin;
    }
  }

  // Uses few ids, so that many devices have had the same id.
  void ChangeDevices() {
    for (uint32_t g = 0; g < program_.group_count; g++) {
      const std::string id(1, static_cast<char>('a' + dice_.Below(5)));
      if (devices_.Find(g, id) == nullptr) {
        devices_.Add(g, id, Reserve(g));
      } else if (dice_.OneIn(2)) {
        gone_[g].push_back(devices_.Remove(g, id, dice_.OneIn(2)));
      }
      if (!gone_[g].empty() && dice_.OneIn(3)) {
        devices_.Erase(g, gone_[g].front());
        gone_[g].erase(gone_[g].begin());
      }
    }
  }

  // Threads that come and go. Those that are there add in their shards, and all add in the shared one.
  void ChangeOwners() {
    if (claimed_.size() > 1 && dice_.OneIn(2)) {
      const auto gone = claimed_.begin() + 1 + dice_.Below(static_cast<uint32_t>(claimed_.size()) - 1);
      cells_.GiveBack(*gone);
      claimed_.erase(gone);
    } else {
      claimed_.push_back(cells_.Claim());
    }
  }

  // Changes no cell, a few cells, or most cells.
  void Count() {
    const uint32_t used = cells_.used();
    const uint32_t all[] = {0, 1, used / 20, used, 3 * used};
    if (used == 0) return;
    for (uint32_t n = all[dice_.Below(5)]; n > 0; n--) {
      const uint32_t shard = dice_.OneOf(claimed_), index = dice_.Below(used);
      const auto histogram = histogram_of_.find(index);
      if (histogram != histogram_of_.end()) {
        Observe(shard, histogram->second);
        continue;
      }
      Cell& cell = cells_.region().InShard(shard, index);
      Set(cell, dice_.OneIn(3) ? dice_.Number() : Read(cell) + dice_.Below(200));
    }
  }

  // The extremes of a histogram tell which buckets can hold anything, so its cells change together.
  void Observe(uint32_t shard, uint32_t first) {
    const uint64_t us = dice_.OneIn(3) ? dice_.Number() : dice_.Below(dice_.OneIn(2) ? 3 : 5000);
    const uint64_t ns = us > ~uint64_t{0} / 1000 ? ~uint64_t{0} : 1000 * us + (dice_.OneIn(2) ? dice_.Below(1000) : 0);
    const auto at = [&](uint32_t i) -> Cell& { return cells_.region().InShard(shard, first + i); };
    RaiseShared(at(0), ~us);
    RaiseShared(at(1), us);
    AddShared(at(2), us);
    AddShared(at(3), 1);
    AddShared(at(kFirstBucket + vmm_metrics_bucket_of(&spec_.tables[0].buckets, ns)), dice_.OneIn(9) ? dice_.Number() : 1);
  }

  // A buffer exactly as large as the line, so that AddressSanitizer sees a byte beyond.
  std::string Line(uint32_t bank, uint64_t made, size_t reference_bytes) {
    const size_t bytes = reference_bytes + 64 * kNumberBytesMax;  // the reference has one byte for a clock
    const std::unique_ptr<char[]> text(new char[bytes]);
    const std::unique_ptr<uint64_t[]> aggregate(new uint64_t[AggregateMax(program_)]);
    RawWriter out(text.get(), bytes);
    const ShardSelection all = ShardSelection::All(cells_.shards_used());
    const Collection collection(cells_, dice_.OneIn(4) ? all : cells_.idle().Select(cells_), bank, flushed_);
    LineWriter(template_, collection, devices_.lists(), made, aggregate.get(), out).Write();
    CHECK(!out.overflowed());
    return std::string(text.get(), out.size());
  }

  size_t Compare(const std::string& expected, const std::string& text) {
    size_t at = 0;
    for (size_t i = 0; i < expected.size(); i++) {
      if (expected[i] == LineReference::kClock) {
        const size_t digits = text.find_first_not_of("0123456789", at) - at;
        if (!CHECK(digits >= 13)) return 0;
        at += 13;
      } else if (at >= text.size() || text[at++] != expected[i]) {
        CHECK_EQ(text, expected);
        return 0;
      }
    }
    CHECK_EQ(at, text.size());
    return text.size();
  }

  Dice& dice_;
  const StoreSpec spec_;
  const ProgramView program_;
  LineTemplate template_;
  TemporaryFolder folder_;
  Cells cells_;
  Devices devices_;
  std::vector<std::vector<const Device*>> gone_;
  std::map<uint32_t, uint32_t> histogram_of_;  // of each cell of a histogram in the line: the first of its cells
  std::vector<uint32_t> claimed_ = {kSharedShard};
  uint32_t flushed_ = 0;
};

constexpr int kPrograms = 100;
constexpr int kLines = 12;  // of each program

template <typename MakeSpec>
void CompareMany(uint32_t seed, bool loses_memory, MakeSpec make_spec) {
  Dice dice(seed);
  const int failed = check::failed;
  size_t bytes = 0;
  for (int i = 0; i < kPrograms && check::failed == failed; i++) {
    Scene scene(dice, make_spec(dice), loses_memory);
    for (int line = 0; line < kLines && check::failed == failed; line++) {
      if (loses_memory && dice.OneIn(4)) scene.LoseMemory();
      bytes += scene.NextLine();
    }
  }
  if (check::failed == failed) CHECK(bytes > 2'000'000);
}

TEST("given random schemas, values, devices and removals, when written, then 2 MB of lines are those of the reference") {
  CompareMany(1, false, AnySchema);
}

TEST("given random sound programs of no schema, when written, then 2 MB of lines are those of the reference") {
  CompareMany(2, false, [](Dice& dice) { return AnyProgram(dice).Make(); });
}

TEST("given a region that loses memory again and again, when written, then 2 MB of lines are those of the reference") {
  CompareMany(3, true, [](Dice& dice) { return dice.OneIn(2) ? AnySchema(dice) : AnyProgram(dice).Make(); });
}

}  // namespace
}  // namespace vmm

// Retirement takes several writes: if the process dies after any of them, a reader sees the same sums. Retired cells
// are free for other devices.
//
// Invariant: a retirement changes neither the total of all devices of a group nor the flushed part of the total.

#include "flush/retirement.h"

#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "flush/leaving.h"
#include "line_reader.h"
#include "rig.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

constexpr uint32_t kWith = 0, kWithout = 1;  // a group with an aggregate, and a group without

struct Scene : Rig {
  Scene()
      : Rig(SchemaBuilder()
                .Group("g", {Inc("i")})
                .PerDevice("d", {Inc("i"), Gauge("s"), Latency("l")})
                .PerDevice("n", {Inc("i"), Inc("j")}, Aggregate::kNone)
                .Build("")),
        directory(cells.region()),
        retirement(cells, directory, devices, program) {
    CHECK(retirement.Create(spec.group_kinds).ok());
    cells.Publish();
  }

  const Device* Add(uint32_t group, const std::string& id) {
    CHECK(directory.Reserve().ok());
    CHECK(flusher.Fit(line_bytes += devices.KeyBytes(group, id) + DeviceBytesMax(program, group)).ok());
    const std::vector<CellKind>& kinds = spec.group_kinds[group];
    uint32_t first = 0;
    if (retirement.HasRun(group)) {
      first = retirement.TakeRun(group);
    } else {
      CHECK(cells.Reserve(kinds.data(), static_cast<uint32_t>(kinds.size()), &first).ok());
    }
    const Device* device = devices.Add(group, id, first, directory.Add(group, id, first));
    cells.Publish();
    return device;
  }
  Removed Remove(uint32_t group, const std::string& id) {
    const Device* device = devices.Remove(group, id, group == kWithout);
    directory.Remove(device->directory_entry);
    return {group, device};
  }

  // What a reader that knows only docs/format.md finds in the region now. For each inc cell of a group: the sum of its
  // devices' totals, and the sum of their words in the flushed bank. Also the ids of the devices.
  struct Sums {
    std::vector<uint64_t> totals, flushed;
    std::vector<std::string> ids;
    bool operator==(const Sums& other) const { return totals == other.totals && flushed == other.flushed && ids == other.ids; }
  };
  Sums Read(uint32_t group) const {
    const Region& region = cells.region();
    const RegionHeader& header = region.header();
    const uint64_t epoch = header.retired_epoch.load();
    const std::vector<CellKind>& kinds = spec.group_kinds[group];
    Sums sums = {std::vector<uint64_t>(kinds.size()), std::vector<uint64_t>(kinds.size()), {}};
    for (uint32_t n = 0; n < header.devices_used.load(); n++) {
      const DirectoryEntry& entry = region.InDirectory(n);
      if (entry.group != group) continue;
      const uint32_t word = entry.state.load();
      const EntryState state = static_cast<EntryState>(word & ((1 << kEntryStateBits) - 1));
      if (state == EntryState::kFree) continue;
      if (state == EntryState::kRetiring && word != EntryWord(EntryState::kRetiring, epoch + 1)) continue;
      if (state == EntryState::kRetiredEven && epoch % 2 == 1) continue;
      if (state == EntryState::kRetiredOdd && epoch % 2 == 0) continue;
      if (state == EntryState::kLiving) sums.ids.push_back(std::string(entry.id, entry.id_bytes));
      for (uint32_t i = 0; i < kinds.size(); i++) {
        if (kinds[i] != CellKind::kInc) continue;
        for (uint32_t shard = 0; shard < header.shards_used.load(); shard++) {
          sums.totals[i] += vmm::Read(region.InShard(shard, entry.first_cell + i));
        }
        sums.flushed[i] += vmm::Read(region.InBank(BankOf(header.commit.load()), entry.first_cell + i));
      }
    }
    return sums;
  }

  void Count(const Device* device, uint32_t group, uint64_t n) { Count(device->first_cell, group, n); }
  void Count(uint32_t first_cell, uint32_t group, uint64_t n) {
    const uint32_t shard = static_cast<uint32_t>(n % cells.shards_used());
    for (uint32_t i = 0; i < program.groups[group].cells; i++) {
      Set(cells.region().InShard(shard, first_cell + i), vmm::Read(cells.region().InShard(shard, first_cell + i)) + n + i);
    }
  }

  bool IsClear(uint32_t first, uint32_t group) const {
    for (uint32_t i = 0; i < program.groups[group].cells; i++) {
      for (uint32_t s = 0; s < cells.shards_used(); s++) {
        if (vmm::Read(cells.region().InShard(s, first + i)) != 0) return false;
      }
      for (uint32_t bank = 0; bank < kBanks; bank++) {
        if (vmm::Read(cells.region().InBank(bank, first + i)) != 0) return false;
      }
    }
    return true;
  }

  Directory directory;
  Retirement retirement;
};

TEST(
    "given devices with pending counts, when they are retired, then after each store to memory all sums are as before, flushed "
    "ones too") {
  TemporaryFolder folder;
  Scene scene;
  CHECK(scene.Init(folder / "f"));
  for (int i = 0; i < 3; i++) scene.cells.Claim();
  std::mt19937 random(7);
  uint64_t stores = 0;
  for (int round = 0; round < 40; round++) {
    std::vector<Removed> leaving;
    for (const uint32_t group : {kWith, kWithout}) {
      for (const char* id : {"a", "b", "c"}) {
        const Device* device = scene.devices.Find(group, id);
        if (device == nullptr) device = scene.Add(group, id);
        scene.Count(device, group, random() % 2 == 0 ? random() : ~uint64_t{0} - random());  // some sums wrap
        if (random() % 2 == 0) leaving.push_back(scene.Remove(group, id));
      }
    }
    if (random() % 2 == 0) CHECK_EQ(scene.Flush(), FlushResult::kOut);
    std::vector<Removed> free;
    for (const Removed& one : leaving) {
      if (one.group == kWith) scene.Count(one.device, kWith, 5);  // so that some counts are always pending
      CHECK(one.group != kWith || scene.retirement.IsFullyFlushed(one));
      free.push_back(one);
    }
    if (round % 4 != 0) scene.Count(scene.retirement.UseRest(kWith), kWith, 3);  // through a stale accessor
    const Scene::Sums with = scene.Read(kWith), without = scene.Read(kWithout);
    scene.retirement.after_store = [&] {
      stores++;
      CHECK(scene.Read(kWith) == with);
      CHECK(scene.Read(kWithout) == without);
    };
    scene.retirement.Retire(free);
    scene.retirement.after_store = nullptr;
    CHECK(scene.Read(kWith) == with);
    CHECK(scene.Read(kWithout) == without);
  }
  CHECK(stores > 1000);
}

TEST(
    "given a device that is retired, when its cells are taken again, then they are 0 in each shard and bank, and its entry is "
    "used again") {
  TemporaryFolder folder;
  Scene scene;
  CHECK(scene.Init(folder / "f"));
  for (int i = 0; i < 3; i++) scene.cells.Claim();
  const uint32_t used = scene.cells.used(), entries = scene.cells.region().devices_used();
  uint32_t cells_of_two = 0;
  for (int round = 0; round < 100; round++) {
    const Device* device = scene.Add(kWith, "x");
    CHECK(scene.IsClear(device->first_cell, kWith));
    scene.Count(device, kWith, 9);
    CHECK_EQ(scene.Flush(), FlushResult::kOut);
    const uint32_t first = device->first_cell;
    scene.retirement.Retire({scene.Remove(kWith, "x")});
    CHECK(scene.IsClear(first, kWith));
    CHECK(scene.devices.At(kWith, first) == nullptr);
    if (round == 1) cells_of_two = scene.cells.used();
  }
  CHECK_EQ(scene.cells.used(), cells_of_two);
  CHECK_EQ(scene.cells.used(), used + scene.program.groups[kWith].cells);
  CHECK_EQ(scene.cells.region().devices_used(), entries + 1);
  CHECK_EQ(scene.Read(kWith).totals[0], 900);
}

TEST("given a device that a thread counted in which has ended, when its cells are taken again, then the next one starts at 0") {
  TemporaryFolder folder;
  Scene scene;
  CHECK(scene.Init(folder / "f"));
  for (const uint64_t n : {5, 3}) {
    const uint32_t first = scene.Add(kWith, "x")->first_cell;
    const uint32_t shard = scene.cells.Claim();
    Set(scene.cells.region().InShard(shard, first + CellOf(scene.spec, kWith, "i")), n);
    scene.cells.GiveBack(shard);
    CHECK_EQ(scene.Flush(), FlushResult::kOut);
    CHECK_EQ(scene.Flush(), FlushResult::kOut);  // nobody has claimed or given back a shard since the last one
    scene.retirement.Retire({scene.Remove(kWith, "x")});
    CHECK_EQ(scene.Add(kWith, "y")->first_cell, first);
    CHECK_EQ(scene.Flush(), FlushResult::kOut);
    scene.retirement.Retire({scene.Remove(kWith, "y")});
  }
  const Lines lines(TextOf(folder / "f"));
  CHECK_EQ(lines.Sum("d.i"), 8);
  CHECK_EQ(lines.Sum("d_y.i"), 0);
}

TEST("given retired devices, when lines follow, then each delta is in exactly one line") {
  TemporaryFolder folder;
  Scene scene;
  CHECK(scene.Init(folder / "f"));
  uint64_t counted = 0;
  for (int round = 0; round < 50; round++) {
    const Device* device = scene.Add(kWith, "x");
    AddShared(scene.At(device, kWith, "i"), 3);
    if (round % 3 == 0) CHECK_EQ(scene.Flush(), FlushResult::kOut);
    AddShared(scene.At(device, kWith, "i"), 4);
    scene.retirement.Retire({scene.Remove(kWith, "x")});
    counted += 7;
    if (round % 5 == 0) CHECK_EQ(scene.Flush(), FlushResult::kOut);
  }
  CHECK_EQ(scene.Flush(), FlushResult::kOut);
  CHECK_EQ(Lines(TextOf(folder / "f")).Sum("d.i"), counted);
}

TEST("given the cells for adds through stale accessors, when they are used, then lines have their counts") {
  TemporaryFolder folder;
  Scene scene;
  CHECK(scene.Init(folder / "f"));
  CHECK_EQ(scene.Flush(), FlushResult::kOut);  // nobody has asked for the totals yet
  uint64_t counted = 0;
  for (const uint64_t n : {5, 0, 7}) {
    const uint32_t rest = scene.retirement.UseRest(kWith);
    AddShared(scene.cells.Shared(rest + CellOf(scene.spec, kWith, "i")), n);
    counted += n;
    CHECK_EQ(scene.Flush(), FlushResult::kOut);
    CHECK_EQ(Lines(TextOf(folder / "f")).Sum("d.i"), counted);
  }
}

TEST(
    "given a group without an aggregate, when a removed device has something pending, then it is not retired before a line has "
    "that") {
  TemporaryFolder folder;
  Scene scene;
  CHECK(scene.Init(folder / "f"));
  const Device* device = scene.Add(kWithout, "x");
  AddShared(scene.At(device, kWithout, "j"), 3);
  const Removed removed = scene.Remove(kWithout, "x");
  CHECK(!scene.retirement.IsFullyFlushed(removed));
  CHECK(scene.devices.HasKey(kWithout, "x"));
  CHECK_EQ(scene.Flush(), FlushResult::kOut);
  CHECK(scene.retirement.IsFullyFlushed(removed));
  const uint64_t room = scene.devices.KeyBytes(kWithout, "x") + DeviceBytesMax(scene.program, kWithout);
  CHECK_EQ(scene.retirement.Retire({removed}), room);
  CHECK(!scene.devices.HasKey(kWithout, "x"));
  CHECK_EQ(Lines(TextOf(folder / "f")).Sum("n_x.j"), 3);
}

// ---- holders of devices

TEST(
    "given removed devices, when holders let go of them one by one, then a device is taken once all have let go and nothing pins "
    "it") {
  Devices devices({"d"}, {});
  Leaving leaving(1);
  Holder one, two;
  int calls = 0;
  two.call = [&calls] { calls++; };
  leaving.Add(&one);
  leaving.Add(&two);
  std::vector<const Device*> removed;
  uint64_t commit = 1;
  const auto take = [&] { return leaving.Take(100, commit, [](const Removed&) { return true; }); };
  for (uint32_t i = 0; i < 5; i++) {
    devices.Add(0, "x", 10 * i);
    removed.push_back(devices.Remove(0, "x"));
    leaving.Note(0, removed.back(), &one);
  }
  CHECK_EQ(leaving.epoch(), 3);  // the last two devices linger
  CHECK_EQ(calls, 1);            // one call until the holder has answered
  CHECK_EQ(leaving.Since(one).size(), 3);
  CHECK(take().empty());
  one.seen.store(3);
  two.seen.store(1);
  CHECK_EQ(leaving.Since(two).size(), 2);
  leaving.Pin(removed[1]);
  const std::vector<Removed> first = take();
  CHECK_EQ(first.size(), 1);
  CHECK(first[0].device == removed[0]);
  leaving.Remove(&two);  // the thread of `two` has ended
  CHECK_EQ(take().size(), 1);
  CHECK(take().empty());
  CHECK(leaving.HasAny());
  CHECK(!leaving.Unpin(removed[0]));
  CHECK(leaving.Unpin(removed[1]));
  const std::vector<Removed> last = take();
  CHECK_EQ(last.size(), 1);
  CHECK(last[0].device == removed[1]);
  CHECK(!leaving.HasAny());
}

TEST("given devices of many ids, when they are removed, then the last sixteen are kept for a while") {
  Devices devices({"d"}, {});
  Leaving leaving(1);
  for (uint32_t i = 0; i < 40; i++) {
    devices.Add(0, std::to_string(i), 10 * i);
    leaving.Note(0, devices.Remove(0, std::to_string(i)), nullptr);
  }
  CHECK_EQ(leaving.epoch(), 40 - Leaving::kLingering);
  const std::vector<Removed> taken = leaving.Take(10, 1, [](const Removed&) { return true; });
  CHECK_EQ(taken.size(), 10);
  CHECK_EQ(taken[0].device->first_cell, 0);
}

TEST("given a removed device that is not free yet, when devices are taken, then it is asked again only after another commit") {
  Devices devices({"d"}, {});
  Leaving leaving(1);
  for (uint32_t i = 0; i < 3; i++) {
    devices.Add(0, "x", 10 * i);
    leaving.Note(0, devices.Remove(0, "x"), nullptr);
  }
  int asked = 0;
  const auto never = [&asked](const Removed&) {
    asked++;
    return false;
  };
  for (int i = 0; i < 5; i++) CHECK(leaving.Take(10, 0, never).empty());
  CHECK_EQ(asked, 1);
  CHECK(leaving.Take(10, 4, never).empty());
  CHECK_EQ(asked, 2);
  CHECK_EQ(leaving.Take(10, 8, [](const Removed&) { return true; }).size(), 1);
}

}  // namespace
}  // namespace vmm

// Store: which openings share a store, which are refused, and what happens at the last Detach.

#include "store/store.h"

#include <errno.h>
#include <signal.h>

#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "check.h"
#include "child.h"
#include "line_reader.h"
#include "schema_builder.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

SchemaBuilder Schema() {
  return SchemaBuilder()
      .Group("g", {Inc("i"), Gauge("s")})
      .PerDevice("d", {Inc("i"), Gauge("s")})
      .PerDevice("d_x", {Inc("i")}, Aggregate::kNone)
      .Group("logger", {Inc("missed")})
      .OnMissedFlush("logger.missed");
}

// Opens a store. Returns null only after a failed check.
Store* Opened(StoreSpec spec) {
  Store* store = nullptr;
  OpenConflict conflict;
  CHECK(Store::Open(std::move(spec), &store, &conflict).ok());
  CHECK(store != nullptr);
  return store;
}

bool Init(Store* store, const std::string& path) {
  Status status;
  return store->flusher().Init(path.c_str(), -1, &status) == InitResult::kDone;
}

TEST(
    "given a name, when it is opened again with the same schema, then it gives the same store, and another name gives another "
    "store") {
  Store* first = Opened(Schema().Build("a"));
  Store* second = Opened(Schema().Build("a"));
  Store* other = Opened(Schema().Build("b"));
  CHECK(first == second);
  CHECK(other != first);
  first->Detach(false);
  CHECK(!second->is_closed());
  second->Detach(false);
  other->Detach(false);
}

TEST("given a name, when it is opened with another schema, then it gives no store but the text of the open store's schema") {
  Store* store = Opened(Schema().Build("a"));
  Store* none = store;
  OpenConflict conflict;
  CHECK(Store::Open(SchemaBuilder().Group("other", {Inc("i")}).Build("a"), &none, &conflict).ok());
  CHECK(none == nullptr);
  CHECK_EQ(conflict.other_schema, store->spec().schema_text);
  store->Detach(false);
  // The refused store did not keep the name.
  Opened(SchemaBuilder().Group("other", {Inc("i")}).Build("a"))->Detach(false);
}

TEST("given a name whose store was closed, when it is opened again, then it names a new store that starts at 0") {
  Store* first = Opened(Schema().Build("a"));
  const uint32_t cell = CellOf(first->spec(), "g.i");
  AddShared(first->cells().Shared(cell), 5);
  first->Retain();
  first->Detach(false);
  Store* second = Opened(Schema().Build("a"));
  CHECK(second != first);
  CHECK_EQ(second->cells().Total(cell), 0);
  second->Detach(false);
  first->Unreference();
}

TEST("given a closed store, when references to it are left, then its memory stays until the last one is released") {
  Store* store = Opened(Schema().Build("a"));
  store->Retain();
  store->Detach(false);
  CHECK(store->is_closed());
  CHECK_EQ(store->cells().region().header().state.load(), static_cast<uint32_t>(RegionState::kExited));
  AddShared(store->cells().Shared(CellOf(store->spec(), "g.i")), 5);
  CHECK_EQ(store->cells().Total(CellOf(store->spec(), "g.i")), 5);
  store->Unreference();
}

TEST(
    "given a sink, when the last attachment goes, then a last line has what is pending; when one of two goes, then there is no "
    "line") {
  TemporaryFolder folder;
  Store* store = Opened(Schema().Build("a"));
  Opened(Schema().Build("a"));
  CHECK(Init(store, folder / "f"));
  AddShared(store->cells().Shared(CellOf(store->spec(), "g.i")), 5);
  store->Detach(true);
  CHECK_EQ(TextOf(folder / "f"), "");
  store->Detach(false);
  const Lines lines(TextOf(folder / "f"));
  CHECK_EQ(lines.count(), 1);
  CHECK_EQ(lines.Sum("g.i"), 5);
}

TEST("given nothing new, when the last attachment goes, then there is a last line only where it is asked for") {
  for (const bool always_flush : {false, true}) {
    TemporaryFolder folder;
    Store* store = Opened(Schema().Build("a"));
    CHECK(Init(store, folder / "f"));
    store->Detach(always_flush);
    CHECK_EQ(Lines(TextOf(folder / "f")).count(), always_flush ? 1 : 0);
  }
}

TEST("given a half-sent line and nothing new, when the last attachment is closed, then the tail is written") {
  TemporaryFolder folder;
  Store* store = Opened(SchemaBuilder().Group("g", WithManyMore({}, 200)).Build("a"));
  Fifo fifo(folder / "fifo");
  CHECK(Init(store, folder / "fifo"));
  Status status;
  CHECK_EQ(store->flusher().Flush(&status), FlushResult::kFailed);
  std::string text = fifo.Take();
  store->Detach(false);
  text += fifo.Take();
  const Lines lines(text);
  CHECK(lines.count() > 0);
  CHECK_EQ(lines.broken, 0);
}

TEST("given a periodic flush, when time goes by, then lines come by themselves, and none comes after the close") {
  TemporaryFolder folder;
  Store* store = Opened(Schema().Build("a"));
  CHECK(store->StartPeriodicFlush(5).ok());  // ticks do nothing before there is a sink
  SleepMs(20);
  CHECK(Init(store, folder / "f"));
  AddShared(store->cells().Shared(CellOf(store->spec(), "g.i")), 5);
  const int64_t deadline_ms = MonotonicMs() + kChildLimitMs;
  while (Lines(TextOf(folder / "f")).count() < 3 && MonotonicMs() < deadline_ms) SleepMs(2);
  store->Retain();
  store->Detach(false);
  const std::string text = TextOf(folder / "f");
  SleepMs(20);
  CHECK_EQ(TextOf(folder / "f"), text);
  const Lines lines(text);
  CHECK(lines.count() >= 3);
  CHECK_EQ(lines.broken, 0);
  CHECK_EQ(lines.Sum("g.i"), 5);
  CHECK_EQ(lines.Sum("logger.missed"), 0);
  store->Unreference();
}

TEST("given an unsound spec, when it is opened, then it is refused, and its name is free") {
  const struct {
    const char* what;
    void (*damage)(StoreSpec&);
  } cases[] = {
      {"an instruction beyond the cells", [](StoreSpec& spec) { spec.code[0].operand = 1000; }},
      {"fewer names than groups", [](StoreSpec& spec) { spec.group_names.pop_back(); }},
      {"fewer kinds than groups", [](StoreSpec& spec) { spec.group_kinds.pop_back(); }},
      {"fewer lists of metrics than groups", [](StoreSpec& spec) { spec.group_metrics.pop_back(); }},
      {"fewer kinds than a group has cells", [](StoreSpec& spec) { spec.group_kinds[0].pop_back(); }},
      {"a missed cell beyond the cells", [](StoreSpec& spec) { spec.missed_cell = 1000; }},
      {"a mark beyond the cells",
       [](StoreSpec& spec) {
         spec.marks.push_back({SIGHUP, 1000, false});
       }},
      {"a mark of signal 65",
       [](StoreSpec& spec) {
         spec.marks.push_back({65, 0, false});
       }},
      {"a mark of signal 2^32-1",
       [](StoreSpec& spec) {
         spec.marks.push_back({~0u, 0, false});
       }},
      {"a mark of signal 0",
       [](StoreSpec& spec) {
         spec.marks.push_back({0, 0, false});
       }},
  };
  for (const auto& c : cases) {
    StoreSpec spec = Schema().Build("a");
    c.damage(spec);
    Store* store = nullptr;
    OpenConflict conflict;
    if (!CHECK(!Store::Open(std::move(spec), &store, &conflict).ok())) std::printf("  %s\n", c.what);
    CHECK(store == nullptr);
    if (store != nullptr) store->Detach(false);
  }
  Opened(Schema().Build("a"))->Detach(false);
}

TEST(
    "given an id, when it is allocated twice, then both are one device; after a removal it is another device, which starts at "
    "0") {
  Store* store = Opened(Schema().Build("a"));
  const Device *first = nullptr, *again = nullptr, *fresh = nullptr;
  CHECK(store->AllocDevice(0, "a", &first).ok());
  CHECK(store->AllocDevice(0, "a", &again).ok());
  CHECK(first == again);
  AddShared(store->cells().Shared(first->first_cell), 5);
  CHECK(!store->RemoveDevice(0, "b"));
  CHECK(store->RemoveDevice(0, "a"));
  CHECK(!store->RemoveDevice(0, "a"));
  CHECK(store->AllocDevice(0, "a", &fresh).ok());
  CHECK(fresh != first);
  CHECK(fresh->first_cell != first->first_cell);
  CHECK_EQ(store->cells().Total(fresh->first_cell), 0);
  CHECK_EQ(store->LivingDevices(0).size(), 1);
  store->Detach(false);
}

TEST("given a device whose key stands in the line already, when it is allocated, then kKeyTaken, and the line is as before") {
  TemporaryFolder folder;
  Store* store = Opened(Schema().Build("a"));
  const Device* device = nullptr;
  const uint32_t used = store->cells().used();
  CHECK_EQ(store->AllocDevice(0, "x", &device).code, Code::kKeyTaken);  // d_x is a group of devices
  CHECK(store->AllocDevice(1, "y", &device).ok());
  CHECK_EQ(store->AllocDevice(0, "x_y", &device).code, Code::kKeyTaken);
  CHECK_EQ(store->cells().used(), used + 1);
  CHECK_EQ(store->LivingDevices(0).size(), 0);
  store->Detach(false);
}

TEST("given devices that come and go many times, when flushed, then each line has room and is whole") {
  TemporaryFolder folder;
  Store* store = Opened(Schema().Build("a"));
  CHECK(Init(store, folder / "f"));
  uint64_t added = 0;
  for (int i = 0; i < 300; i++) {
    const std::string id = std::string(static_cast<size_t>(i % 200), '\x01') + std::to_string(i);
    const Device* device = nullptr;
    CHECK(store->AllocDevice(0, id, &device).ok());
    AddShared(store->cells().Shared(device->first_cell), 1);
    added++;
    if (i % 3 != 0) CHECK(store->RemoveDevice(0, id));
    Status status;
    CHECK_EQ(store->flusher().Flush(&status), FlushResult::kOut);
  }
  store->Detach(false);
  const Lines lines(TextOf(folder / "f"));
  CHECK_EQ(lines.broken, 0);
  CHECK_EQ(lines.Sum("d.i"), added);
}

TEST(
    "given no room for more cells, when devices are allocated, then the status is kTooManyCells, and earlier devices still "
    "work") {
  TemporaryFolder folder;
  StoreSpec spec = SchemaBuilder().PerDevice("d", {Inc("i")}).Build("a");  // large devices soon use up all cells
  spec.groups[0].cells = 100'000;
  spec.group_kinds[0].resize(100'000, CellKind::kInc);
  Store* store = Opened(std::move(spec));
  CHECK(Init(store, folder / "f"));
  const Device* device = nullptr;
  Status status;
  int made = 0;
  for (; status.ok() && made < 1000; made++) status = store->AllocDevice(0, std::to_string(made), &device);
  CHECK_EQ(status.code, Code::kTooManyCells);
  const int there = made - 1;
  CHECK_EQ(store->LivingDevices(0).size(), there);
  CHECK(there > 10);
  for (const Devices::Entry& entry : store->LivingDevices(0)) AddShared(store->cells().Shared(entry.device->first_cell), 1);
  CHECK_EQ(store->flusher().Flush(&status), FlushResult::kOut);
  CHECK_EQ(Lines(TextOf(folder / "f")).Sum("d.i"), there);
  store->Detach(false);
}

TEST("given a thread's shard, when its row is mapped, then adds to it count in the store") {
  Store* store = Opened(Schema().Build("a"));
  const uint32_t cell = CellOf(store->spec(), "g.i");
  const uint32_t shard = store->ClaimShard();
  CHECK_EQ(shard, 1);
  void* row = nullptr;
  CHECK(store->MapRow(store->cells().region().chunk_of(cell), shard, &row).ok());
  AddShared(static_cast<Cell*>(row)[cell], 7);
  CHECK_EQ(store->cells().Total(cell), 7);
  Region::UnmapRow(row, store->cells().region().granule_bytes());
  store->GiveBackShard(shard);
  CHECK_EQ(store->ClaimShard(), shard);
  store->Detach(false);
}

TEST("given a schema without cells, when a shard's row is mapped, then it can be touched") {
  Store* store = Opened(SchemaBuilder().Build("a"));
  const size_t bytes = store->cells().region().granule_bytes();
  for (const uint32_t shard : {kSharedShard, store->ClaimShard()}) {
    void* row = nullptr;
    CHECK(store->MapRow(0, shard, &row).ok());
    Cell* const cells = static_cast<Cell*>(row);
    AddShared(cells[0], 5);
    CHECK_EQ(Read(store->cells().region().InShard(shard, 0)), 5);
    Region::UnmapRow(row, bytes);
  }
  store->Detach(false);
}

// Invariant: each open of the name returns an open store, and all that a thread adds between its open and its detach is
// in the lines.
TEST("given threads that open, add and detach the same name, when all are gone, then the lines have every add") {
  TemporaryFolder folder;
  constexpr int kThreads = 4, kRounds = 60;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRounds; i++) {
        Store* store = Opened(Schema().Build("a"));
        Status status;
        CHECK(store->flusher().Init((folder / "f").c_str(), -1, &status) != InitResult::kFailed);
        AddShared(store->cells().Shared(CellOf(store->spec(), "g.i")), 1);
        CHECK(!store->is_closed());
        if (i % 4 == 0) CHECK(store->StartPeriodicFlush(1).ok());
        if (i % 8 == 0) CHECK(store->CaptureSignals().ok());
        store->Detach(i % 2 == 0);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Lines lines(TextOf(folder / "f"));
  CHECK_EQ(lines.broken, 0);
  CHECK_EQ(lines.Sum("g.i"), kThreads * kRounds);
}

}  // namespace
}  // namespace vmm

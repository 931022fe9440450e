// A Scene is a store whose process dies in a child of the test, and what the child leaves behind.
//
// The store is opened before the fork, so that the child shares its region. The parent then finds the pending counts
// and the crash record there. The sink is the child's own.
//
// Thread-safety:       one thread at a time, except as the store says.
// Async-signal-safety: none.

#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "child.h"
#include "line_reader.h"
#include "schema_builder.h"
#include "store/store.h"
#include "temporary_folder.h"

namespace vmm {

struct SignalName {
  int signal;
  const char* name;
};
constexpr SignalName kSignalNames[] = {{SIGSEGV, "segv"}, {SIGBUS, "bus"},  {SIGILL, "ill"},   {SIGFPE, "fpe"},
                                       {SIGABRT, "abrt"}, {SIGSYS, "sys"},  {SIGTRAP, "trap"}, {SIGTERM, "term"},
                                       {SIGHUP, "hup"},   {SIGCHLD, "chld"}};

inline std::string MarkOf(int signal) {
  for (const auto& s : kSignalNames) {
    if (s.signal == signal) return std::string("signals.") + s.name;
  }
  return "";
}

// With `wide`, a line does not fit into a pipe of one page.
inline StoreSpec Schema(const std::string& name, bool wide = false) {
  const std::vector<Field> fields = {Inc("i"), Latency("l")};
  std::vector<Field> signals;
  for (const auto& s : kSignalNames) signals.push_back(s.signal == SIGCHLD || s.signal == SIGHUP ? Inc(s.name) : Gauge(s.name));
  SchemaBuilder schema;
  schema.Group("g", wide ? WithManyMore(fields) : fields)
      .Group("signals", signals)
      .PerDevice("d", {Inc("i")})
      .Group("logger", {Inc("missed")});
  schema.OnMissedFlush("logger.missed");
  for (const auto& s : kSignalNames) schema.OnSignal(static_cast<uint32_t>(s.signal), MarkOf(s.signal));
  return schema.Build(name);
}

// A way to die, and the signal that ends the process.
struct Way {
  const char* what;
  int signal;
  void (*die)();
};

struct Scene {
  explicit Scene(StoreSpec spec) {
    OpenConflict conflict;
    CHECK(Store::Open(std::move(spec), &store, &conflict).ok());
  }
  explicit Scene(const std::string& name = "crash", bool wide = false) : Scene(Schema(name, wide)) {}
  ~Scene() { store->Detach(false); }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  // Called in the child: captures its death from here on. The default limit is long. Only a pipe that stays full makes
  // the child wait that long, and the tests of such pipes set a shorter limit.
  void Capture(const std::string& sink, int limit_ms = kChildLimitMs / 2) { CaptureInto(sink.c_str(), -1, limit_ms); }
  // The same with a path for the lines, or with a descriptor if `path` is null.
  void CaptureInto(const char* path, int descriptor, int limit_ms) {
    Status status;
    if (!CHECK_EQ(store->flusher().Init(path, descriptor, &status), InitResult::kDone)) _exit(2);
    CaptureOptions options;
    options.limit_ms = limit_ms;
    if (!CHECK(store->CaptureSignals(options).ok())) _exit(2);
  }
  void Capture() { Capture(folder / "f"); }
  void Add(uint64_t n) { AddShared(store->cells().Shared(CellOf(store->spec(), "g.i")), n); }
  FlushResult Flush() {
    Status status;
    return store->flusher().Flush(&status);
  }

  uint64_t Total(const std::string& path) { return AsLeft().Total(CellOf(store->spec(), path)); }
  uint64_t Pending(const std::string& path) { return AsLeft().Pending(CellOf(store->spec(), path)); }
  Cells& AsLeft() {
    GoByHeader(store->cells().region());
    return store->cells();
  }
  const CrashRecord& record() { return store->cells().region().header().crash; }

  Lines lines() { return Lines(TextOf(folder / "f")); }
  // For each inc metric, the deltas in all lines and the pending count add up to the total.
  void CheckExact(const Lines& lines) {
    CHECK_EQ(lines.broken, 0);
    for (const NamedMetric& metric : store->spec().metrics) {
      if (metric.kind != VMM_METRICS_INC) continue;
      CHECK_EQ(lines.Sum(metric.name) + Pending(metric.name), Total(metric.name));
    }
  }
  // Checks that there is one more line than before, and that it is the last line of a death by `signal`.
  void CheckLastLine(int signal, size_t lines_before = 0) {
    const Lines all = lines();
    CheckExact(all);
    CHECK_EQ(all.tail, "");
    CHECK_EQ(Pending("g.i"), 0);
    CHECK_EQ(record().signal.load(), signal);
    CHECK_EQ(store->cells().region().header().state.load(), static_cast<uint32_t>(RegionState::kCrashed));
    if (!CHECK_EQ(all.count(), lines_before + 1)) return;
    for (const auto& s : kSignalNames) CHECK_EQ(all.values.back().at(MarkOf(s.signal)), s.signal == signal ? 1 : 0);
  }

  TemporaryFolder folder;
  Store* store = nullptr;
};

// Memory without access rights. Sanitizers would report a null pointer.
inline volatile char* Forbidden() {
  return static_cast<volatile char*>(mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}
inline void Fault() { *Forbidden() = 1; }

}  // namespace vmm

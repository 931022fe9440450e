// A Rig puts the parts of a store together without the store, for the tests of each part.
//
// Thread-safety:       as its parts; one thread at a time calls AddDevice.
// Async-signal-safety: none.

#pragma once

#include <string>
#include <utility>

#include "check.h"
#include "flush/devices.h"
#include "flush/flusher.h"
#include "schema_builder.h"

namespace vmm {

inline StoreSpec SmallSchema() {
  return SchemaBuilder()
      .Group("g", {Inc("i"), Gauge("s")})
      .Group("logger", {Inc("missed")})
      .OnMissedFlush("logger.missed")
      .Build("");
}

// A line of this schema has some 9,000 bytes. A pipe of one page takes them in three parts.
inline StoreSpec WideSchema() {
  return SchemaBuilder()
      .Group("g", WithManyMore({Inc("i")}))
      .Group("logger", {Inc("missed")})
      .OnMissedFlush("logger.missed")
      .Build("");
}

struct Rig {
  explicit Rig(StoreSpec made)
      : spec(std::move(made)),
        program(ViewOf(spec)),
        devices(spec.group_names, spec.keys),
        flusher(cells, line_template, devices.lists(), spec.missed_cell) {
    uint32_t first = 0;
    CHECK(IsSound(program));
    MakeTemplate(spec, program, &line_template);
    CHECK(cells.Create({spec.schema_fingerprint}).ok());
    CHECK(flusher.Fit(line_bytes = LineBytesMax(program)).ok());
    CHECK(cells.Reserve(spec.kinds.data(), static_cast<uint32_t>(spec.kinds.size()), &first).ok());
    cells.Publish();
  }

  const Device* AddDevice(uint32_t group, const std::string& id) {
    CHECK(flusher.Fit(line_bytes += devices.KeyBytes(group, id) + DeviceBytesMax(program, group)).ok());
    const std::vector<CellKind>& kinds = spec.group_kinds[group];
    uint32_t first = 0;
    CHECK(cells.Reserve(kinds.data(), static_cast<uint32_t>(kinds.size()), &first).ok());
    const Device* device = devices.Add(group, id, first);
    cells.Publish();
    return device;
  }

  Cell& At(const std::string& path) { return cells.Shared(CellOf(spec, path)); }
  Cell& At(const Device* device, uint32_t group, const std::string& field) {
    return cells.Shared(device->first_cell + CellOf(spec, group, field));
  }
  void Add(const std::string& path, uint64_t n) { AddShared(At(path), n); }
  uint64_t Total(const std::string& path) { return cells.Total(CellOf(spec, path)); }
  uint64_t Pending(const std::string& path) { return cells.Pending(CellOf(spec, path)); }

  bool Init(const std::string& path) { return flusher.Init(path.c_str(), -1, &status) == InitResult::kDone; }
  FlushResult Flush() { return flusher.Flush(&status); }
  // How many lines were committed.
  uint64_t commits() const { return LinesOf(cells.region().header().commit.load(std::memory_order_relaxed)); }
  // The header's record of the line in flight.
  const LineInFlight& flight() const { return cells.region().header().line; }

  StoreSpec spec;
  ProgramView program;
  LineTemplate line_template;
  Cells cells;
  Devices devices;
  Flusher flusher;
  uint64_t line_bytes = 0;
  Status status;
};

}  // namespace vmm

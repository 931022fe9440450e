// A StoreSpec is what native code needs of a schema and of the options of Metrics.open(). TypeScript makes it.
//
// Thread-safety:       a plain value.
// Async-signal-safety: none.
// Units:               a cell is an index from 0, a signal its number.
// Lifetime:            a ProgramView points into the spec that it was made of.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "flush/line_template.h"
#include "flush/program.h"
#include "kvm/watches.h"
#include "region/cell.h"
#include "region/region_file.h"

namespace vmm {

constexpr uint32_t kNoTable = ~0u;

// A metric by its name, for native threads.
struct NamedMetric {
  std::string name;           // "vcpu.exit_io_out"; for a device's metric, "read_count"
  uint32_t kind;              // vmm_metrics_kind
  uint32_t cell;              // for a device's metric: counted from the device's first cell
  uint32_t table = kNoTable;  // the number of its BucketTable; kNoTable: it has no buckets
};

// The table of one kind of buckets.
struct BucketTable {
  std::vector<uint64_t> entries;
  Buckets buckets = {};  // points to the entries
};

struct StoreSpec {
  std::string name;
  std::string schema_text;  // canonical: two schemas are the same if their texts are
  uint64_t schema_fingerprint = 0;
  std::vector<CellKind> kinds;
  std::vector<Instruction> code;
  uint32_t main_end = 0;
  std::vector<DeviceGroup> groups;
  std::string literals;
  std::vector<std::string> keys;  // the line's own keys, which no device may have
  std::vector<std::string> group_names;
  std::vector<std::vector<CellKind>> group_kinds;
  std::vector<BucketTable> tables;
  std::vector<LineHistogram> histograms;  // they point into `tables`
  std::vector<NamedMetric> metrics;
  std::vector<std::vector<NamedMetric>> group_metrics;
  struct Mark {
    uint32_t signal;
    uint32_t cell;
    bool is_store;
  };
  std::vector<Mark> marks;
  // The metrics of the schema that show KVM's statistics: those of the VM, and those of each device of a group, which
  // are the vCPUs. kNoGroup: the schema has none of a vCPU.
  static constexpr uint32_t kNoGroup = ~0u;
  std::vector<KvmMetric> kvm_vm;
  std::vector<KvmMetric> kvm_vcpu;
  uint32_t kvm_vcpu_group = kNoGroup;
  uint32_t missed_cell = kNoCell;
  uint32_t error_cell = kNoCell;
  // The absolute path of the region's file; empty: the region is no file.
  std::string file;
  Previous previous = Previous::kKeep;
  // For readers in other processes; see docs/format.md.
  std::string document;
};

inline ProgramView ViewOf(const StoreSpec& spec) {
  return {spec.code.data(),
          static_cast<uint32_t>(spec.code.size()),
          spec.main_end,
          spec.groups.data(),
          static_cast<uint32_t>(spec.groups.size()),
          spec.literals.data(),
          static_cast<uint32_t>(spec.literals.size()),
          static_cast<uint32_t>(spec.kinds.size()),
          spec.histograms.data(),
          static_cast<uint32_t>(spec.histograms.size())};
}

// `program` is ViewOf(spec), and sound. Throws when there is no memory.
inline void MakeTemplate(const StoreSpec& spec, const ProgramView& program, LineTemplate* made) {
  std::vector<const CellKind*> group_kinds;
  for (const std::vector<CellKind>& kinds : spec.group_kinds) group_kinds.push_back(kinds.data());
  made->Make(program, spec.kinds.data(), group_kinds.data());
}

}  // namespace vmm

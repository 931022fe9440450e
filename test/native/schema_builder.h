// A SchemaBuilder makes what lib/layout.ts and lib/program.ts make of a schema, so that the native tests need no Node.
//
// Thread-safety:       one thread.
// Async-signal-safety: none.
// Lifetime:            a StoreSpec is a value; a ProgramView is valid as long as its spec.

#pragma once

#include <signal.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "bucket_table.h"
#include "store/native_abi.h"
#include "store/store_spec.h"

namespace vmm {

struct Field {
  std::string name;
  vmm_metrics_kind kind;
  Op aggregate = Op::kSumOfStore;  // of a store metric
  bool is_hidden = false;          // of a metric with buckets: the line has no bucket, and shows a latency
};
inline Field Inc(const std::string& name) { return {name, VMM_METRICS_INC}; }
inline Field Gauge(const std::string& name, Op aggregate = Op::kSumOfStore) { return {name, VMM_METRICS_STORE, aggregate}; }
inline Field Latency(const std::string& name) { return {name, VMM_METRICS_LATENCY}; }
// A histogram of durations in microseconds, with the buckets of TimeBuckets().
inline Field Distribution(const std::string& name) { return {name, VMM_METRICS_HISTOGRAM}; }
// A latency with hidden buckets.
inline Field HiddenDistribution(const std::string& name) { return {name, VMM_METRICS_HISTOGRAM, Op::kSumOfStore, true}; }

// The fields and many more, so that the line does not fit into a pipe of one page.
inline std::vector<Field> WithManyMore(std::vector<Field> fields, int more = 400) {
  for (int i = 0; i < more; i++) fields.push_back(Inc("metric_number_" + std::to_string(i)));
  return fields;
}

enum class Aggregate { kNone, kExtremum, kZeroLatency };

class SchemaBuilder {
 public:
  SchemaBuilder& Timestamp(const std::string& key) {
    Emit(Text(",\"" + key + "\":"), Op::kTimestamp, 0);
    spec_.keys.push_back(key);
    return *this;
  }

  SchemaBuilder& Group(const std::string& key, const std::vector<Field>& fields) {
    const std::vector<NamedMetric> metrics = AssignCells(fields, &spec_.kinds);
    AddHistograms(fields, metrics, kNoGroup);
    Fields(",\"" + key + "\":{", fields, metrics, false);
    for (const NamedMetric& metric : metrics) {
      spec_.metrics.push_back({key + "." + metric.name, metric.kind, metric.cell, metric.table});
    }
    spec_.keys.push_back(key);
    return *this;
  }

  SchemaBuilder& PerDevice(const std::string& key, const std::vector<Field>& fields, Aggregate aggregate = Aggregate::kExtremum) {
    Emit(Text(""), Op::kDevices, static_cast<uint32_t>(groups_.size()));
    groups_.push_back({key, fields, aggregate});
    spec_.keys.push_back(key);
    return *this;
  }

  SchemaBuilder& OnSignal(uint32_t signal, const std::string& path);
  SchemaBuilder& OnMissedFlush(const std::string& path);

  // The code of the device groups follows the code of the line.
  StoreSpec Build(const std::string& name) {
    spec_.name = name;
    spec_.main_end = static_cast<uint32_t>(spec_.code.size());
    for (const PendingGroup& group : groups_) {
      std::vector<CellKind> kinds;
      const std::vector<NamedMetric> metrics = AssignCells(group.fields, &kinds);
      AddHistograms(group.fields, metrics, static_cast<uint32_t>(spec_.groups.size()));
      const auto here = [&] { return static_cast<uint32_t>(spec_.code.size()); };
      const uint32_t begin = here();
      Fields("", group.fields, metrics, false);
      const uint32_t end = here();
      if (group.aggregate != Aggregate::kNone) {
        zero_latency_ = group.aggregate == Aggregate::kZeroLatency;
        Fields(",\"" + group.key + "\":{", group.fields, metrics, true);
      }
      spec_.groups.push_back({static_cast<uint32_t>(kinds.size()), begin, end, end, here()});
      spec_.group_names.push_back(group.key);
      spec_.group_kinds.push_back(kinds);
      spec_.group_metrics.push_back(metrics);
    }
    spec_.schema_text = spec_.literals;
    spec_.schema_fingerprint = spec_.literals.size();
    return std::move(spec_);
  }

 private:
  struct PendingGroup {
    std::string key;
    std::vector<Field> fields;
    Aggregate aggregate;
  };

  // Gives each field its cells. The cells of one metric are in one run.
  std::vector<NamedMetric> AssignCells(const std::vector<Field>& fields, std::vector<CellKind>* kinds) {
    std::vector<NamedMetric> metrics;
    for (const Field& field : fields) {
      std::vector<CellKind> own = {CellKind::kInc};
      if (field.kind == VMM_METRICS_STORE) own = {CellKind::kStore};
      if (field.kind == VMM_METRICS_LATENCY) own = {CellKind::kMin, CellKind::kMax, CellKind::kInc, CellKind::kInc};
      if (field.kind == VMM_METRICS_HISTOGRAM) {
        if (spec_.tables.empty()) spec_.tables.push_back(TimeBuckets());
        own = {CellKind::kMin, CellKind::kMax, CellKind::kInc, CellKind::kInc};
        own.resize(kFirstBucket + spec_.tables[0].buckets.count, field.is_hidden ? CellKind::kTally : CellKind::kBucket);
      }
      while (kinds->size() % kRunCells + own.size() > kRunCells) kinds->push_back(CellKind::kNone);
      const uint32_t table = field.kind == VMM_METRICS_HISTOGRAM ? 0 : kNoTable;
      metrics.push_back({field.name, static_cast<uint32_t>(field.kind), static_cast<uint32_t>(kinds->size()), table});
      kinds->insert(kinds->end(), own.begin(), own.end());
    }
    return metrics;
  }

  void AddHistograms(const std::vector<Field>& fields, const std::vector<NamedMetric>& metrics, uint32_t group) {
    for (size_t i = 0; i < fields.size(); i++) {
      if (fields[i].kind != VMM_METRICS_HISTOGRAM || fields[i].is_hidden) continue;
      spec_.histograms.push_back({group, metrics[i].cell + kFirstBucket, &spec_.tables[0].buckets});
    }
  }

  void Fields(std::string text, const std::vector<Field>& fields, const std::vector<NamedMetric>& metrics, bool aggregate) {
    for (size_t i = 0; i < fields.size(); i++) {
      const uint32_t cell = metrics[i].cell;
      text += (i == 0 ? "\"" : ",\"") + fields[i].name + "\":";
      switch (fields[i].kind) {
        case VMM_METRICS_INC: Emit(Text(text), aggregate ? Op::kSumOfInc : Op::kInc, cell); break;
        case VMM_METRICS_STORE: Emit(Text(text), aggregate ? fields[i].aggregate : Op::kStore, cell); break;
        case VMM_METRICS_HISTOGRAM:
          if (!fields[i].is_hidden) {
            EmitHistogram(text, cell, aggregate);
            break;
          }
          [[fallthrough]];
        case VMM_METRICS_LATENCY: {
          const bool zero = aggregate && zero_latency_;
          Emit(Text(text + "{\"min_us\":"), zero ? Op::kZero : Op::kMin, cell);
          Emit(Text(",\"max_us\":"), zero ? Op::kZero : Op::kMax, cell + 1);
          Emit(Text(",\"sum_us\":"), aggregate ? Op::kSumOfInc : Op::kInc, cell + 2);
          break;
        }
      }
      text = fields[i].kind == VMM_METRICS_HISTOGRAM && !fields[i].is_hidden ? "]}" : "";
      if (fields[i].kind == VMM_METRICS_LATENCY || fields[i].is_hidden) text = "}";
    }
    Emit(Text(text + "}"), Op::kText, 0);
  }

  void EmitHistogram(const std::string& text, uint32_t cell, bool aggregate) {
    const bool zero = aggregate && zero_latency_;
    const Op sum = aggregate ? Op::kSumOfInc : Op::kInc;
    const uint32_t first = cell + kFirstBucket;
    Emit(Text(text + "{\"count\":"), Op::kBucketCount, first);
    Emit(Text(",\"sum\":"), sum, cell + 2);
    Emit(Text(",\"min\":"), zero ? Op::kZero : Op::kMin, cell);
    Emit(Text(",\"max\":"), zero ? Op::kZero : Op::kMax, cell + 1);
    Emit(Text(",\"zero_count\":"), sum, first);
    Emit(Text(",\"offset\":"), Op::kBucketOffset, first);
    Emit(Text(",\"bucket_counts\":["), Op::kBucketList, first);
  }

  struct Literal {
    uint32_t offset, bytes;
  };
  Literal Text(const std::string& text) {
    const uint32_t offset = static_cast<uint32_t>(spec_.literals.size());
    spec_.literals += text;
    return {offset, static_cast<uint32_t>(text.size())};
  }
  void Emit(Literal literal, Op op, uint32_t operand) {
    spec_.code.push_back({static_cast<uint32_t>(op), literal.offset, literal.bytes, operand});
  }

  StoreSpec spec_;
  std::vector<PendingGroup> groups_;
  bool zero_latency_ = false;
};

// The metric at that path in `metrics`. The path must exist.
inline const NamedMetric& MetricAt(const std::vector<NamedMetric>& metrics, const std::string& path) {
  for (const NamedMetric& metric : metrics) {
    if (metric.name == path) return metric;
  }
  std::printf("the schema has no metric %s\n", path.c_str());
  std::abort();
}
inline uint32_t CellOf(const StoreSpec& spec, const std::string& path) { return MetricAt(spec.metrics, path).cell; }
inline uint32_t CellOf(const StoreSpec& spec, uint32_t group, const std::string& field) {
  return MetricAt(spec.group_metrics[group], field).cell;
}

inline SchemaBuilder& SchemaBuilder::OnSignal(uint32_t signal, const std::string& path) {
  const NamedMetric& metric = MetricAt(spec_.metrics, path);
  spec_.marks.push_back({signal, metric.cell, metric.kind == VMM_METRICS_STORE});
  return *this;
}
inline SchemaBuilder& SchemaBuilder::OnMissedFlush(const std::string& path) {
  spec_.missed_cell = CellOf(spec_, path);
  return *this;
}

}  // namespace vmm

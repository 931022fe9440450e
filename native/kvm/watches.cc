#include "kvm/watches.h"

#include <unistd.h>

#include <utility>

namespace vmm {

namespace {

constexpr int kQuietMs = 100;

}  // namespace

Status KvmWatches::Prepare(int fd, const std::vector<KvmMetric>& metrics, const std::vector<CellKind>& kinds,
                           Prepared* prepared) {
  if (Status status = OpenKvmStatistics(fd, &prepared->opened); !status.ok()) return status;
  KvmStatistics& statistics = prepared->statistics;
  if (Status status = KvmStatistics::Read(prepared->opened.statistics.get(), &statistics); !status.ok()) return status;
  std::map<std::string, uint32_t> cells;
  for (const KvmMetric& metric : metrics) cells[metric.name] = metric.cell;
  for (const KvmStatistic& statistic : statistics.all) {
    const auto found = cells.find(statistic.name);
    if (found == cells.end()) continue;
    const KvmMetricShape shape = ShapeOf(statistic);
    const CellKind kind = shape.kind == KvmMetricShape::kCounter ? CellKind::kInc : CellKind::kStore;
    if (shape.kind == KvmMetricShape::kNone || kinds[found->second] != kind)
      return WrongFile("has a statistic of another kind than the metric of its name");
    prepared->pairs.push_back({found->second, statistic, shape});
  }
  if (prepared->pairs.empty()) return WrongFile("has none of the statistics that the schema has metrics for");
  return {};
}

void KvmWatches::Begin(uint32_t target, Prepared&& prepared) {
  auto made = std::make_unique<Watch>();
  made->target = target;
  made->id = prepared.statistics.id;
  const uint32_t first = target == kVm ? 0 : target;
  for (const Prepared::Pair& pair : prepared.pairs) {
    const uint64_t offset = uint64_t{prepared.statistics.data_offset} + pair.statistic.offset;
    // In the order of the offsets, which is nearly always the order of the statistics.
    auto place = made->fields.end();
    while (place != made->fields.begin() && offset < place[-1].offset) place--;
    made->fields.insert(
        place, {offset, &cells_.Shared(first + pair.cell), pair.shape.factor, 0, pair.shape.kind == KvmMetricShape::kCounter});
  }
  made->opened = std::move(prepared.opened);
  made->source.fd = made->opened.statistics.get();
  made->source.fields = made->fields.data();
  made->source.field_count = static_cast<uint32_t>(made->fields.size());
  End(target);
  Continue(target, made.get());
  Watch& watch = *(watches_[target] = std::move(made));
  samples_.Sample(watch.source);
  samples_.Add(&watch.source);
}

void KvmWatches::Continue(uint32_t target, Watch* watch) const {
  const auto found = earlier_.find(target);
  if (found == earlier_.end()) return;
  const std::map<const Cell*, Counted>& counted = found->second.counted;
  // The ids of all VMs of a process are equal. A VM or vCPU that is younger has counted less.
  bool is_same = found->second.id == watch->id;
  for (const KvmField& field : watch->fields) {
    const auto before = field.is_counter ? counted.find(field.cell) : counted.end();
    if (before == counted.end()) continue;
    uint64_t value = 0;
    const bool is_read = pread(watch->source.fd, &value, sizeof(value), static_cast<off_t>(field.offset)) == sizeof(value);
    is_same = is_same && is_read && value * field.factor >= before->second.by_kvm;
  }
  for (KvmField& field : watch->fields) {
    if (!field.is_counter) continue;
    const auto before = counted.find(field.cell);
    field.base = is_same && before != counted.end() ? before->second.base : Read(*field.cell);
  }
}

bool KvmWatches::End(uint32_t target) {
  const auto found = watches_.find(target);
  if (found == watches_.end()) return false;
  Watch& watch = *found->second;
  ended_.push_back(nullptr);
  samples_.Remove(&watch.source);
  // A thread that is reading the source must not add to its cells after this. If such a thread has no processor for
  // longer, what it adds is still KVM's count, and FreeEnded waits for it.
  samples_.AwaitQuiet(kQuietMs);
  samples_.Sample(watch.source);
  ended_.back() = std::move(found->second);
  watches_.erase(found);
  earlier_[target] = LeftBy(watch);  // without memory for this, the watch has ended all the same
  return true;
}

KvmWatches::Earlier KvmWatches::LeftBy(const Watch& watch) {
  Earlier earlier{watch.id, {}};
  for (const KvmField& field : watch.fields) {
    if (field.is_counter) earlier.counted[field.cell] = {Read(*field.cell) - field.base, field.base};
  }
  return earlier;
}

std::vector<KvmWatches::Loss> KvmWatches::TakeLosses() {
  std::vector<Loss> losses;
  for (auto& [target, watch] : watches_) {
    // Relaxed: it publishes nothing, and a loss that is missed now is found at the next call.
    const int error = watch->source.error.load(std::memory_order_relaxed);
    if (error == 0 || watch->is_loss_told) continue;
    watch->is_loss_told = true;
    losses.push_back({target, error});
  }
  return losses;
}

void KvmWatches::Close() {
  ended_.reserve(ended_.size() + watches_.size());
  for (auto& [target, watch] : watches_) {
    samples_.Remove(&watch->source);
    ended_.push_back(std::move(watch));
  }
  watches_.clear();
  if (samples_.AwaitQuiet(kQuietMs)) ended_.clear();
}

}  // namespace vmm

#include "kvm/columns.h"

#include <algorithm>

namespace vmm {

KvmColumns::KvmColumns(const KvmSamples* samples, const Cells& cells, const std::vector<uint32_t>& columns) : samples_(samples) {
  for (const uint32_t column : columns) columns_.insert(&cells.Shared(column));
}

void KvmColumns::Sample() {
  if (samples_ == nullptr || (samples_->is_empty() && wanted_.empty())) return;
  const KvmSamples::Reading reading(*samples_);
  const uint32_t changes = samples_->changes();
  if (changes != changes_) Choose(changes);
  for (const KvmSource* source : wanted_) samples_->Sample(*source);
}

void KvmColumns::Choose(uint32_t changes) {
  wanted_.clear();
  changes_ = changes;
  samples_->ForEach([this](const KvmSource& source) {
    if (HasColumn(source)) wanted_.push_back(&source);
  });
}

bool KvmColumns::HasColumn(const KvmSource& source) const {
  return std::any_of(source.fields, source.fields + source.field_count,
                     [this](const KvmField& field) { return columns_.count(field.cell) != 0; });
}

}  // namespace vmm

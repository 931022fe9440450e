#include "exposition/source.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/raw_writer.h"

namespace vmm {

namespace {

void Finish(const OwnerCells& owner, uint64_t* values) {
  for (const uint32_t cell : owner.minima) {
    // 0 is the complement of no minimum, and of 2^64-1; the maximum tells the two cases apart.
    const uint64_t max = values[cell + 1];
    values[cell] = values[cell] != 0 ? ~values[cell] : (max == UINT64_MAX ? max : 0);
  }
  for (const OwnerCells::Buckets& run : owner.buckets) {
    for (uint32_t i = 1; i < run.count; i++) values[run.first + i] += values[run.first + i - 1];
  }
}

}  // namespace

ExpositionSource::ExpositionSource(SourceSpec spec) : spec_(std::move(spec)), is_valid_(IsPossible()) {
  if (!is_valid_) return;
  spec_.labels.resize(spec_.labels.size() + RawWriter::kPadding);
  const std::vector<OwnerCells>& shapes = families().owners;
  const char* label = spec_.labels.data();
  const Owner plain = {label, spec_.plain_label_bytes, 0};
  label += spec_.plain_label_bytes;
  owners_.push_back(plain);
  groups_.resize(shapes.size() - 1);
  uint32_t next = spec_.cells;
  auto device = spec_.devices.begin();
  for (uint32_t group = 0; group < groups_.size(); group++) {
    groups_[group].first_owner = static_cast<uint32_t>(owners_.size());
    for (; device != spec_.devices.end() && device->group == group; label += device->label_bytes, device++) {
      if (device->is_removed == 0) owners_.push_back({label, device->label_bytes, device->first_cell});
    }
    groups_[group].aggregate = static_cast<uint32_t>(owners_.size());
    groups_[group].living = groups_[group].aggregate - groups_[group].first_owner;
    owners_.push_back({plain.labels, plain.label_bytes, next});
    next += shapes[group + 1].cells;
  }
  values_ = next;
}

bool ExpositionSource::IsPossible() const {
  const std::vector<OwnerCells>& shapes = families().owners;
  if (shapes[0].cells > spec_.cells) return false;
  uint64_t label_bytes = spec_.plain_label_bytes;
  uint64_t values = spec_.cells;
  for (size_t i = 1; i < shapes.size(); i++) values += shapes[i].cells;
  uint32_t group = 0;
  for (const SourceDevice& device : spec_.devices) {
    if (device.group < group || device.group >= shapes.size() - 1) return false;
    group = device.group;
    if (uint64_t{device.first_cell} + shapes[group + 1].cells > spec_.cells) return false;
    label_bytes += device.label_bytes;
  }
  return label_bytes == spec_.labels.size() && values <= UINT32_MAX;
}

void ExpositionSource::Fill(const uint64_t* totals, uint64_t* values) const {
  if (spec_.cells != 0) std::memcpy(values, totals, spec_.cells * sizeof(uint64_t));
  // Combine first: the aggregate of minima is made from their complements.
  CombineDevices(values);
  const std::vector<OwnerCells>& shapes = families().owners;
  Finish(shapes[0], values);
  for (size_t group = 0; group < groups_.size(); group++) {
    const Group& of = groups_[group];
    for (uint32_t owner = of.first_owner; owner <= of.aggregate; owner++)
      Finish(shapes[group + 1], values + owners_[owner].first);
  }
}

void ExpositionSource::CombineDevices(uint64_t* values) const {
  const std::vector<OwnerCells>& shapes = families().owners;
  auto device = spec_.devices.begin();
  for (uint32_t group = 0; group < groups_.size(); group++) {
    const OwnerCells& shape = shapes[group + 1];
    uint64_t* const all = values + owners_[groups_[group].aggregate].first;
    std::fill_n(all, shape.cells, 0);
    bool is_first = true;  // no living device came before
    for (; device != spec_.devices.end() && device->group == group; device++) {
      const uint64_t* const own = values + device->first_cell;
      const bool is_living = device->is_removed == 0;
      for (uint32_t cell = 0; cell < shape.cells; cell++) all[cell] += own[cell] & shape.sum_masks[cell];
      if (!is_living) continue;
      for (const auto& [cell, how] : shape.others) {
        switch (how) {
          case Combine::kNone:
          case Combine::kSum: break;
          case Combine::kMax: all[cell] = std::max(all[cell], own[cell]); break;
          case Combine::kAll: all[cell] += own[cell]; break;
          case Combine::kLowest: all[cell] = is_first ? own[cell] : std::min(all[cell], own[cell]); break;
        }
      }
      is_first = false;
    }
  }
}

}  // namespace vmm

// The labels of one store or region file and the places of its values: what an exposition shows of it.
//
// Thread-safety:       any thread may read a source, which never changes.
// Async-signal-safety: none.
// Lifetime:            the families are shared, and live at least as long as the source.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "exposition/families.h"

namespace vmm {

// A device whose values count: a removed one counts in the aggregate only.
struct SourceDevice {
  uint32_t group;
  uint32_t first_cell;
  uint32_t is_removed;
  uint32_t label_bytes;  // its labels follow those of the device before it
};

struct SourceSpec {
  std::shared_ptr<const MetricFamilies> families;
  // The labels of the plain groups, then those of each device: `{vm="a",device="b"} `, or a space.
  std::vector<char> labels;
  uint32_t plain_label_bytes = 0;
  std::vector<SourceDevice> devices;  // group after group
  uint32_t cells = 0;                 // the values of a reading
};

class ExpositionSource {
 public:
  // Who has samples in a family.
  struct Owner {
    const char* labels;  // RawWriter::kPadding bytes more can be read
    uint32_t label_bytes;
    uint32_t first;  // its first value
    // Without their end, for a label that follows: `{vm="a"`, or nothing.
    uint32_t open_bytes() const { return label_bytes < 3 ? 0 : label_bytes - 2; }
  };
  struct Owners {
    const Owner* begin;
    const Owner* end;
  };

  explicit ExpositionSource(SourceSpec spec);
  ExpositionSource(const ExpositionSource&) = delete;
  ExpositionSource& operator=(const ExpositionSource&) = delete;

  // Whether the spec is consistent. If it is not, no other function may be called.
  bool IsValid() const { return is_valid_; }
  uint32_t cells() const { return spec_.cells; }
  const MetricFamilies& families() const { return *spec_.families; }

  // How many values the samples show: those of a reading, and those of all aggregates.
  uint32_t values() const { return values_; }
  // Writes the values as they are shown to `values`. `totals` has as many words as the reading has cells. What
  // `Shape.fill` in lib/prometheus/values.ts does.
  void Fill(const uint64_t* totals, uint64_t* values) const;

  Owners OwnersOf(const MetricFamily& family) const {
    const Owner* const owners = owners_.data();
    if (family.owner == 0) return {owners, owners + 1};
    const Group& group = groups_[family.owner - 1];
    if (family.is_aggregate != 0) return {owners + group.aggregate, owners + group.aggregate + 1};
    return {owners + group.first_owner, owners + group.first_owner + group.living};
  }

 private:
  // The owners of one group of devices.
  struct Group {
    uint32_t first_owner = 0;
    uint32_t living = 0;
    uint32_t aggregate = 0;  // the owner of the aggregate
  };

  bool IsPossible() const;
  void CombineDevices(uint64_t* values) const;

  SourceSpec spec_;
  bool is_valid_;
  std::vector<Group> groups_;
  std::vector<Owner> owners_;  // the plain groups; for each group its living devices, and then its aggregate
  uint32_t values_ = 0;
};

}  // namespace vmm

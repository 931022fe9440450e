#include "exposition/families.h"

#include <algorithm>

#include "base/raw_writer.h"

namespace vmm {

namespace {

bool IsWithin(uint64_t first, uint64_t count, uint64_t size) { return first + count <= size; }

bool IsValidOwner(const OwnerCells& owner, bool is_plain) {
  if (owner.sum_masks.size() != (is_plain ? 0 : owner.cells)) return false;
  const auto is_known = [&](const auto& other) {
    return other.first < owner.cells && static_cast<uint8_t>(other.second) < kCombines;
  };
  return std::all_of(owner.others.begin(), owner.others.end(), is_known) &&
         std::all_of(owner.minima.begin(), owner.minima.end(), [&](uint32_t cell) { return IsWithin(cell, 2, owner.cells); }) &&
         std::all_of(owner.buckets.begin(), owner.buckets.end(),
                     [&](const OwnerCells::Buckets& run) { return IsWithin(run.first, run.count, owner.cells); });
}

}  // namespace

void OwnerCells::CombineBy(const std::vector<Combine>& combine) {
  sum_masks.clear();
  others.clear();
  for (uint32_t cell = 0; cell < combine.size(); cell++) {
    const Combine how = combine[cell];
    sum_masks.push_back(how == Combine::kSum ? ~uint64_t{0} : 0);
    if (how != Combine::kSum && how != Combine::kNone) others.emplace_back(cell, how);
  }
}

bool MetricFamilies::IsValid() const {
  if (owners.empty() || !IsWithin(text_bytes, RawWriter::kPadding, text.size())) return false;
  for (size_t i = 0; i < owners.size(); i++) {
    if (!IsValidOwner(owners[i], i == 0)) return false;
  }
  for (const FamilyPart& part : parts) {
    const uint64_t bytes = uint64_t{part.name_bytes} + part.further_bytes + part.only_bytes;
    if (!IsWithin(part.text, bytes, text_bytes) || part.decimals > kDecimalsMax) return false;
  }
  return std::all_of(families.begin(), families.end(), [&](const MetricFamily& family) {
    if (family.parts == 0 || !IsWithin(family.first_part, family.parts, parts.size())) return false;
    if (family.owner >= owners.size() || (family.owner == 0 && family.is_aggregate != 0)) return false;
    const auto first = parts.begin() + family.first_part;
    return std::all_of(first, first + family.parts,
                       [&](const FamilyPart& part) { return part.cell < owners[family.owner].cells; });
  });
}

}  // namespace vmm

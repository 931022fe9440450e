#include "exposition/text.h"

#include <algorithm>

#include "base/raw_writer.h"
#include "exposition/decimal.h"

namespace vmm {

namespace {

size_t LineBytesMax(const FamilyPart& part, const ExpositionSource::Owner& owner) {
  return size_t{part.name_bytes} + owner.label_bytes + part.further_bytes + part.only_bytes + kDecimalBytesMax + 1;
}

// `name` is the text of the part.
void WriteLine(RawWriter& out, const FamilyPart& part, const char* name, const ExpositionSource::Owner& owner, uint64_t value) {
  out.PaddedText(name, part.name_bytes);
  if (part.further_bytes == 0) {
    out.PaddedText(owner.labels, owner.label_bytes);
  } else if (const uint32_t open_bytes = owner.open_bytes(); open_bytes != 0) {
    out.PaddedText(owner.labels, open_bytes);
    out.PaddedText(name + part.name_bytes, part.further_bytes);
  } else {
    out.PaddedText(name + part.name_bytes + part.further_bytes, part.only_bytes);
  }
  WriteDecimal(out, value, part.decimals);
  out.Char('\n');
}

}  // namespace

bool ExpositionText::IsValid() const {
  const size_t families = spec_.header_ends.size();
  if (families == 0) return spec_.headers.empty();
  if (spec_.rows.size() != spec_.sources.size() || spec_.places.size() % families != 0) return false;
  if (spec_.header_ends.back() != spec_.headers.size() || !std::is_sorted(spec_.header_ends.begin(), spec_.header_ends.end()))
    return false;
  for (size_t i = 0; i < spec_.sources.size(); i++) {
    if (spec_.rows[i] >= spec_.places.size() / families) return false;
    const auto known = static_cast<int64_t>(spec_.sources[i]->families().families.size());
    const auto row = spec_.places.begin() + static_cast<ptrdiff_t>(spec_.rows[i] * families);
    if (std::any_of(row, row + static_cast<ptrdiff_t>(families), [&](int32_t place) { return place >= known; })) return false;
  }
  return true;
}

size_t ExpositionText::Write(char* to, size_t bytes) {
  // Copies, since for the compiler each byte of the text might be a byte of this object.
  RawWriter out(to, bytes);
  Place at = next_;
  const auto stop = [&](size_t needed) {
    next_ = at;
    needed_ = needed;
    return out.size();
  };
  const size_t families = spec_.header_ends.size();
  const size_t sources = spec_.sources.size();
  for (; at.family < families; at.family++, at.source = 0, at.has_header = false) {
    for (; at.source < sources; at.source++, at.owner = 0) {
      const int32_t place = spec_.places[spec_.rows[at.source] * families + at.family];
      if (place < 0) continue;
      const ExpositionSource& source = *spec_.sources[at.source];
      const MetricFamilies& of = source.families();
      const MetricFamily& family = of.families[static_cast<size_t>(place)];
      const ExpositionSource::Owners owners = source.OwnersOf(family);
      const auto count = static_cast<size_t>(owners.end - owners.begin);
      if (count == 0) continue;
      if (!at.has_header) {
        const size_t begin = at.family == 0 ? 0 : spec_.header_ends[at.family - 1];
        const size_t header_bytes = spec_.header_ends[at.family] - begin;
        if (header_bytes > bytes - out.size()) return stop(header_bytes);
        if (header_bytes != 0) out.Text(&spec_.headers[begin], header_bytes);
        at.has_header = true;
      }
      const char* const text = of.text.data();
      const FamilyPart* const parts = &of.parts[family.first_part];
      const size_t part_count = family.parts;
      const uint64_t* const values = source.values();
      for (; at.owner < count; at.owner++, at.part = 0) {
        const ExpositionSource::Owner owner = owners.begin[at.owner];
        for (; at.part < part_count; at.part++) {
          const FamilyPart part = parts[at.part];
          const size_t line_bytes = LineBytesMax(part, owner);
          if (line_bytes > bytes - out.size()) return stop(line_bytes);
          WriteLine(out, part, text + part.text, owner, values[owner.first + part.cell]);
        }
      }
    }
  }
  return stop(0);
}

}  // namespace vmm

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

ExpositionText::ExpositionText(ExpositionTextSpec spec, const std::vector<const uint64_t*>& totals)
    : spec_(std::move(spec)), is_valid_(IsPossible(totals.size())) {
  if (!is_valid_) return;
  for (const auto& source : spec_.sources) value_count_ += source->values();
  values_.reset(new uint64_t[value_count_]);  // without zeros: all of it is written below
  values_of_.reserve(totals.size());
  uint64_t* values = values_.get();
  for (size_t i = 0; i < totals.size(); i++) {
    spec_.sources[i]->Fill(totals[i], values);
    values_of_.push_back(values);
    values += spec_.sources[i]->values();
  }
}

bool ExpositionText::IsPossible(size_t totals) const {
  const size_t families = spec_.header_ends.size();
  if (totals != spec_.sources.size()) return false;
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

size_t ExpositionReading::Write(char* to, size_t bytes) {
  const std::shared_ptr<const ExpositionText> text = text_.lock();
  if (text == nullptr) {
    needed_ = 0;
    return 0;
  }
  const ExpositionTextSpec& spec = text->spec_;
  // Copies, since for the compiler each byte of the text might be a byte of this object.
  RawWriter out(to, bytes);
  Place at = next_;
  const auto stop = [&](size_t needed) {
    next_ = at;
    needed_ = needed;
    return out.size();
  };
  const size_t families = spec.header_ends.size();
  const size_t sources = spec.sources.size();
  for (; at.family < families; at.family++, at.source = 0, at.has_header = false) {
    for (; at.source < sources; at.source++, at.owner = 0) {
      const int32_t place = spec.places[spec.rows[at.source] * families + at.family];
      if (place < 0) continue;
      const ExpositionSource& source = *spec.sources[at.source];
      const MetricFamilies& of = source.families();
      const MetricFamily& family = of.families[static_cast<size_t>(place)];
      const ExpositionSource::Owners owners = source.OwnersOf(family);
      const auto count = static_cast<size_t>(owners.end - owners.begin);
      if (count == 0) continue;
      if (!at.has_header) {
        const size_t begin = at.family == 0 ? 0 : spec.header_ends[at.family - 1];
        const size_t header_bytes = spec.header_ends[at.family] - begin;
        if (header_bytes > bytes - out.size()) return stop(header_bytes);
        if (header_bytes != 0) out.Text(&spec.headers[begin], header_bytes);
        at.has_header = true;
      }
      const char* const names = of.text.data();
      const FamilyPart* const parts = &of.parts[family.first_part];
      const size_t part_count = family.parts;
      const uint64_t* const values = text->values_of_[at.source];
      for (; at.owner < count; at.owner++, at.part = 0) {
        const ExpositionSource::Owner owner = owners.begin[at.owner];
        for (; at.part < part_count; at.part++) {
          const FamilyPart part = parts[at.part];
          const size_t line_bytes = LineBytesMax(part, owner);
          if (line_bytes > bytes - out.size()) return stop(line_bytes);
          WriteLine(out, part, names + part.text, owner, values[owner.first + part.cell]);
        }
      }
    }
  }
  return stop(0);
}

}  // namespace vmm

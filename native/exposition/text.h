// The samples of many sources at one moment as one text, family by family. Only the values are kept: the text is
// written each time that it is read, in portions as large as the caller has room for.
//
// Thread-safety:       any thread may read a text, which never changes; one thread at a time for each reading.
// Async-signal-safety: none.
// Lifetime:            a text shares its sources. A reading ends early if its text is gone.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "exposition/source.h"

namespace vmm {

struct ExpositionTextSpec {
  std::vector<std::shared_ptr<const ExpositionSource>> sources;
  // For each source, which row of `places` is its schema's.
  std::vector<uint32_t> rows;
  // For each row and each family of the text: the index of the family among the families of the source, or -1.
  std::vector<int32_t> places;
  // The comment lines of all families of the text, and where those of each family end.
  std::vector<char> headers;
  std::vector<uint32_t> header_ends;
};

class ExpositionText {
 public:
  // `totals`: for each source the values of a reading, as many as its cells. They are copied.
  ExpositionText(ExpositionTextSpec spec, const std::vector<const uint64_t*>& totals);
  ExpositionText(const ExpositionText&) = delete;
  ExpositionText& operator=(const ExpositionText&) = delete;

  // Whether the spec is consistent. If it is not, no other function may be called.
  bool IsValid() const { return is_valid_; }
  // How much memory the values take.
  size_t bytes() const { return value_count_ * sizeof(uint64_t); }

 private:
  friend class ExpositionReading;

  bool IsPossible(size_t totals) const;

  const ExpositionTextSpec spec_;
  const bool is_valid_;
  size_t value_count_ = 0;
  // Of all sources, one after the other, and where those of each source begin.
  std::unique_ptr<uint64_t[]> values_;
  std::vector<const uint64_t*> values_of_;
};

// One reading of a text, from its beginning to its end.
class ExpositionReading {
 public:
  // The text must be valid.
  explicit ExpositionReading(std::weak_ptr<const ExpositionText> text) : text_(std::move(text)) {}

  // Writes the next whole lines, as many as have room. Returns the number of bytes; 0 if no line is left, or if the
  // next line needs more than `bytes`, which needed() tells.
  size_t Write(char* to, size_t bytes);
  // How many bytes the next line needs at most; 0 if no line is left.
  size_t needed() const { return needed_; }

 private:
  // Where the next line is: that of a part of an owner in a family of a source.
  struct Place {
    size_t family = 0;
    size_t source = 0;
    size_t owner = 0;
    size_t part = 0;
    bool has_header = false;
  };

  const std::weak_ptr<const ExpositionText> text_;
  Place next_;
  size_t needed_ = 0;
};

}  // namespace vmm

// The samples of many sources as one text, family by family, in portions as large as the caller has room for.
//
// Thread-safety:       one thread at a time; nobody may fill a source between the first and the last portion.
// Async-signal-safety: none.
// Lifetime:            the text shares the sources.

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
  explicit ExpositionText(ExpositionTextSpec spec) : spec_(std::move(spec)) {}
  ExpositionText(const ExpositionText&) = delete;
  ExpositionText& operator=(const ExpositionText&) = delete;

  // Whether the spec is consistent. If it is not, no other function may be called.
  bool IsValid() const;

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

  const ExpositionTextSpec spec_;
  Place next_;
  size_t needed_ = 0;
};

}  // namespace vmm

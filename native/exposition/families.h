// The metric families of a schema as pieces of text and indexes of cells. TypeScript makes them once for each schema
// (lib/prometheus/native-families.ts); all sources with the schema share them.
//
// Thread-safety:       any thread may read a families object, which never changes.
// Async-signal-safety: none.
// Units:               bytes of text, and cells counted from an owner's first cell. An owner is whoever has values of
//                      its own: the plain groups together, a device, or all devices of a group together.

#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace vmm {

// How the cells of devices become the cell of their aggregate; `Combine` in lib/prometheus/native-families.ts.
enum class Combine : uint8_t {
  kNone,    // 0
  kSum,     // the sum over all devices, with the removed ones
  kMax,     // the largest of the living devices; also the complement of a minimum
  kAll,     // a gauge: the sum over the living devices
  kLowest,  // a gauge: the least of the living devices
};
constexpr uint8_t kCombines = 5;

// The samples of a family that each of its owners has. A line is the name, the labels of the owner, the label `le` of a
// bucket, and a value. The text has the name, then that label after others, and then that label alone.
struct FamilyPart {
  uint32_t text;
  uint32_t name_bytes;
  uint32_t further_bytes;  // such as `,le="1.0"} `; 0: the part has no label of its own
  uint32_t only_bytes;     // such as `{le="1.0"} `
  uint32_t cell;
  uint32_t decimals;
};

struct MetricFamily {
  uint32_t first_part;
  uint32_t parts;
  uint32_t owner;         // an index of `owners`
  uint32_t is_aggregate;  // the samples are those of all devices together
};

// What the values of an owner need before they can be shown.
struct OwnerCells {
  uint32_t cells = 0;
  // How the cells of devices are combined: for each cell, all ones if it is a sum, else 0; and all other cells that
  // have an aggregate. Both are empty for the plain groups.
  std::vector<uint64_t> sum_masks;
  std::vector<std::pair<uint32_t, Combine>> others;
  std::vector<uint32_t> minima;  // cells with the complement of a minimum, before the cell of the maximum
  struct Buckets {
    uint32_t first;
    uint32_t count;
  };
  std::vector<Buckets> buckets;  // each becomes the count of all values up to its upper edge

  // Sets how each cell is combined.
  void CombineBy(const std::vector<Combine>& combine);
};

struct MetricFamilies {
  // Behind the text of the spec there is room to read, see RawWriter::PaddedText.
  std::vector<char> text;
  size_t text_bytes = 0;
  std::vector<FamilyPart> parts;
  std::vector<MetricFamily> families;
  std::vector<OwnerCells> owners;  // the plain groups, then each group of devices

  // Whether all indexes are within bounds. If not, the object may not be used.
  bool IsValid() const;
};

// The most decimals of a value: 10^19 is below 2^64.
constexpr uint32_t kDecimalsMax = 19;

}  // namespace vmm

// A FileSampler samples region files at each tick of a fixed grid, and writes each sample as a row of text. The files
// belong to other processes. It does what lib/region/sampler.ts does as long as only values and the number of shards
// change: nothing is allocated at a tick, and no JavaScript runs.
//
// The files may be anybody's work, and may change at any moment. They are read with pread only, and never mapped. No
// number in them is used as a place; the number of shards is limited.
//
// Thread-safety:       one thread at a time.
// Async-signal-safety: none.
// Lifetime:            the descriptors stay open while the object is used. The object does not close them.
// Units:               nanoseconds on CLOCK_MONOTONIC.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/histogram.h"
#include "base/raw_writer.h"
#include "region/cell.h"
#include "region/file_reads.h"

namespace vmm {

struct SampledColumn {
  CellKind kind;   // a kMin cell is followed by its kMax cell
  uint32_t chunk;  // an index of SampledFile::chunks
  uint32_t at;     // where the cell is in a row, in bytes
  // The device is gone: the value stays what it is, since another device may have the cell.
  bool is_gone;
  uint64_t value;
};

struct SampledFile {
  int descriptor = -1;
  RowPlaces rows;
  uint64_t retired_epoch = 0;    // while the file has another number, the columns may be those of other devices
  std::vector<uint32_t> chunks;  // the chunks that have columns
  std::vector<SampledColumn> columns;
  uint32_t shards = 1;  // as many were in use at the last sample
};

class FileSampler {
 public:
  enum class Stop : uint32_t {
    kPaused,   // the time to pause has come, or a signal
    kFull,     // the next row may not fit
    kChanged,  // a tick is due, but more than values has changed, or a file could not be read
    kOver,     // the last tick has passed
  };

  // The grid begins at `begin_ns` and has ticks 1 to `last_tick`.
  FileSampler(uint64_t begin_ns, uint64_t interval_ns, uint64_t last_tick)
      : begin_ns_(begin_ns), interval_ns_(interval_ns), last_tick_(last_tick) {}
  FileSampler(const FileSampler&) = delete;
  FileSampler& operator=(const FileSampler&) = delete;

  // The files to sample from now on. False if a number is out of range; then nothing changes.
  bool SetFiles(std::vector<SampledFile> files);

  // Samples until something stops it. Writes the rows to `text`, and their length to `*written`.
  Stop Run(uint64_t pause_ns, char* text, size_t bytes, size_t* written);

  // Counts a sample of the tick that is due, which somebody else has taken at that moment.
  void Note(uint64_t now_ns);

  // The values of the last sample; empty if none was taken since SetFiles.
  const std::vector<uint64_t>& last() const { return last_; }
  uint64_t samples() const { return samples_; }
  uint64_t missed_ticks() const { return missed_ticks_; }
  const Histogram& lateness() const { return lateness_; }

 private:
  static bool IsValid(const SampledFile& file);
  bool ReadValues();
  bool ReadFile(SampledFile& file, uint64_t* values);
  // Adds the rows of one chunk to the values of its columns.
  static void Combine(const SampledFile& file, uint32_t chunk, const unsigned char* rows, uint64_t* values);
  void AddRow(RawWriter& out, uint64_t now_ns) const;

  const uint64_t begin_ns_;
  const uint64_t interval_ns_;
  const uint64_t last_tick_;
  uint64_t tick_ = 1;  // the next one
  uint64_t samples_ = 0;
  uint64_t missed_ticks_ = 0;
  Histogram lateness_;
  std::vector<SampledFile> files_;
  std::vector<uint64_t> values_;  // of the sample that is being taken
  std::vector<uint64_t> last_;
  RowMemory memory_;
};

}  // namespace vmm

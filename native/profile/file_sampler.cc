#include "profile/file_sampler.h"

#include <sys/prctl.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "profile/sampler.h"
#include "region/cells.h"

namespace vmm {

namespace {

constexpr unsigned long kTimerSlackNs = 1;  // 50 us by default

// The words of the header that change while the process lives, and are needed here.
constexpr size_t kWords = offsetof(RegionHeader, commit);
constexpr size_t kWordsBytes = offsetof(RegionHeader, retired_epoch) + sizeof(uint64_t) - kWords;

uint64_t WordAt(const unsigned char* at) {
  uint64_t word;
  memcpy(&word, at, sizeof(word));
  return word;
}

// Sleeps, and then spins for the last `spin_ns`. Returns the time, which is before the moment if a signal came.
uint64_t WaitUntil(uint64_t moment_ns, uint64_t spin_ns) {
  uint64_t now_ns = MonotonicNs();
  if (now_ns + spin_ns < moment_ns) {
    SleepUntilNs(moment_ns - spin_ns);
    now_ns = MonotonicNs();
  }
  while (now_ns < moment_ns && moment_ns - now_ns <= spin_ns) now_ns = MonotonicNs();
  return now_ns;
}

}  // namespace

bool FileSampler::IsValid(const SampledFile& file) {
  if (!file.rows.IsPossible()) return false;
  const auto is_chunk = [](uint32_t chunk) { return chunk < kMaxChunks; };
  return std::all_of(file.chunks.begin(), file.chunks.end(), is_chunk) &&
         std::all_of(file.columns.begin(), file.columns.end(), [&](const SampledColumn& column) {
           const uint64_t end = uint64_t{column.at} + (column.kind == CellKind::kMin ? 2 : 1) * sizeof(uint64_t);
           return column.chunk < file.chunks.size() && column.at % sizeof(uint64_t) == 0 && end <= file.rows.granule_bytes;
         });
}

bool FileSampler::SetFiles(std::vector<SampledFile> files) {
  if (!std::all_of(files.begin(), files.end(), IsValid)) return false;
  size_t columns = 0;
  for (const SampledFile& file : files) columns += file.columns.size();
  values_.assign(columns, 0);
  last_.clear();
  files_ = std::move(files);
  return true;
}

FileSampler::Stop FileSampler::Run(uint64_t pause_ns, char* text, size_t bytes, size_t* written) {
  prctl(PR_SET_TIMERSLACK, kTimerSlackNs);
  const uint64_t spin_ns = interval_ns_ < Sampler::kSleepOnlyNs ? Sampler::kSpinLastNs : 0;
  const size_t row_bytes_max = (values_.size() + 1) * (kNumberBytesMax + 1);
  RawWriter out(text, bytes);
  Stop stop = Stop::kOver;
  while (tick_ <= last_tick_) {
    const uint64_t due_ns = begin_ns_ + tick_ * interval_ns_;
    const uint64_t now_ns = WaitUntil(std::min(due_ns, pause_ns), spin_ns);
    stop = Stop::kPaused;
    if (now_ns < due_ns) break;
    stop = Stop::kFull;
    if (bytes - out.size() < row_bytes_max) break;
    stop = Stop::kChanged;
    if (!ReadValues()) break;
    last_.resize(values_.size());  // allocates once
    std::swap(values_, last_);
    AddRow(out, now_ns);
    Note(now_ns);
    stop = Stop::kOver;
  }
  *written = out.size();
  return stop;
}

void FileSampler::Note(uint64_t now_ns) {
  const uint64_t due = std::min((now_ns - begin_ns_) / interval_ns_, last_tick_);
  if (due < tick_) return;
  missed_ticks_ += due - tick_;
  samples_++;
  lateness_.Record(now_ns - begin_ns_ - due * interval_ns_);
  tick_ = due + 1;
}

bool FileSampler::ReadValues() {
  uint64_t* values = values_.data();
  for (SampledFile& file : files_) {
    if (!ReadFile(file, values)) return false;
    values += file.columns.size();
  }
  return true;
}

bool FileSampler::ReadFile(SampledFile& file, uint64_t* values) {
  for (;;) {
    for (size_t i = 0; i < file.columns.size(); i++) values[i] = file.columns[i].is_gone ? file.columns[i].value : 0;
    for (uint32_t chunk = 0; chunk < file.chunks.size(); chunk++) {
      const size_t bytes = size_t{file.shards} * file.rows.granule_bytes;
      unsigned char* const rows = memory_.Get(bytes);
      const uint64_t offset = file.rows.OffsetOf(file.chunks[chunk], kFirstShardRow);
      if (rows == nullptr || !ReadFully(file.descriptor, rows, bytes, offset)) return false;
      Combine(file, chunk, rows, values);
    }
    // Afterwards: a device that exists now also existed then.
    unsigned char* const words = memory_.Get(kWordsBytes);
    if (words == nullptr || !ReadFully(file.descriptor, words, kWordsBytes, kWords)) return false;
    if (WordAt(words + offsetof(RegionHeader, retired_epoch) - kWords) != file.retired_epoch) return false;
    uint32_t shards;
    memcpy(&shards, words + offsetof(RegionHeader, shards_used) - kWords, sizeof(shards));
    if (shards <= file.shards || file.shards == kShards) return true;
    // A thread has claimed a shard that was not read.
    file.shards = std::min(shards, kShards);
  }
}

void FileSampler::Combine(const SampledFile& file, uint32_t chunk, const unsigned char* rows, uint64_t* values) {
  const unsigned char* const end = rows + size_t{file.shards} * file.rows.granule_bytes;
  for (size_t i = 0; i < file.columns.size(); i++) {
    const SampledColumn& column = file.columns[i];
    if (column.chunk != chunk || column.is_gone) continue;
    uint64_t value = WordAt(rows + column.at);
    const bool is_min = column.kind == CellKind::kMin;
    uint64_t max = is_min ? WordAt(rows + column.at + sizeof(uint64_t)) : 0;
    for (const unsigned char* row = rows + file.rows.granule_bytes; row != end && column.kind != CellKind::kStore;
         row += file.rows.granule_bytes) {
      const uint64_t word = WordAt(row + column.at);
      value = IsSum(column.kind) ? value + word : std::max(value, word);
      if (is_min) max = std::max(max, WordAt(row + column.at + sizeof(uint64_t)));
    }
    values[i] = is_min ? MinimumOf(value, max) : value;
  }
}

void FileSampler::AddRow(RawWriter& out, uint64_t now_ns) const {
  out.Number(now_ns - begin_ns_);
  for (const uint64_t value : last_) {
    out.Char('\t');
    out.Number(value);
  }
  out.Char('\n');
}

}  // namespace vmm

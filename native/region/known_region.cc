#include "region/known_region.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/file_lock.h"
#include "region/cell.h"

namespace vmm {

namespace {

// How many bytes of a chunk are read at once: all shards if pages have 4 KiB.
constexpr uint32_t kReadBytes = 512 << 10;

constexpr size_t kCommit = offsetof(RegionHeader, commit);
constexpr size_t kCounts = offsetof(RegionHeader, cells_used);
constexpr size_t kCountsEnd = offsetof(RegionHeader, degraded);
constexpr size_t kLine = offsetof(RegionHeader, line);
constexpr size_t kLineEnd = kLine + sizeof(LineInFlight);
constexpr size_t kEpoch = offsetof(RegionHeader, retired_epoch);
constexpr size_t kDirectoryChanges = offsetof(RegionHeader, directory_changes);

uint64_t WordAt(const uint8_t* bytes, size_t offset) {
  uint64_t word;
  memcpy(&word, bytes + offset, sizeof(word));
  return word;
}

bool IsSame(const uint8_t* a, const uint8_t* b, size_t begin, size_t end) {
  return memcmp(a + begin, b + begin, end - begin) == 0;
}

// Adds the words of a row to the values of their cells. `is_first`: a gauge is read from this row.
void Combine(const uint64_t* words, size_t count, const uint8_t* kinds, const uint32_t* slots, uint32_t limit, bool is_first,
             uint64_t* values) {
  for (size_t i = 0; i < count; i++) {
    // Most words of most rows are 0.
    while (i + 4 < count && (words[i] | words[i + 1] | words[i + 2] | words[i + 3]) == 0) i += 4;
    const uint64_t word = words[i];
    if (word == 0 || slots[i] >= limit) continue;
    uint64_t& value = values[slots[i]];
    switch (static_cast<CellKind>(kinds[i])) {
      case CellKind::kNone: break;
      case CellKind::kInc:
      case CellKind::kTally:
      case CellKind::kBucket: value += word; break;
      case CellKind::kStore:
        if (is_first) value = word;
        break;
      case CellKind::kMin:
      case CellKind::kMax: value = std::max(value, word); break;
    }
  }
}

}  // namespace

KnownRegion::KnownRegion(KnownRegionSpec spec) : spec_(std::move(spec)) {
  header_.swap(spec_.header);
  struct stat info;
  has_file_ = fstat(spec_.descriptor, &info) == 0;
  if (!has_file_) return;
  device_ = info.st_dev;
  inode_ = info.st_ino;
  owner_ = info.st_uid;
  user_ = geteuid();
}

bool KnownRegion::IsValid() const {
  return has_file_ && header_.size() == sizeof(RegionHeader) && spec_.rows.IsPossible() &&
         spec_.kinds.size() == spec_.slots.size() && spec_.kinds.size() <= kCellsMax && spec_.shards_used <= kShards &&
         spec_.directory.size() % sizeof(DirectoryEntry) == 0;
}

bool KnownRegion::IsNamed(uid_t user) const {
  struct stat info;
  if ((spec_.is_descriptor_link ? stat(spec_.path.c_str(), &info) : lstat(spec_.path.c_str(), &info)) != 0) return false;
  if (info.st_dev != device_ || info.st_ino != inode_ || info.st_uid != owner_ || user != user_) return false;
  if (spec_.kinds.empty()) return true;
  const uint32_t last = static_cast<uint32_t>((spec_.kinds.size() - 1) / (spec_.rows.granule_bytes / sizeof(uint64_t)));
  return static_cast<uint64_t>(info.st_size) >= spec_.rows.OffsetOf(last, kFirstShardRow + spec_.shards_used);
}

bool KnownRegion::ReadRows(RowMemory& memory, uint32_t first, uint32_t count, uint64_t* values) const {
  const uint32_t granule = spec_.rows.granule_bytes;
  const uint32_t per_chunk = granule / sizeof(uint64_t);
  const uint32_t at_once = std::max(1u, std::min(count, kReadBytes / granule));
  unsigned char* const bytes = memory.Get(size_t{at_once} * granule);
  if (bytes == nullptr) return false;
  memset(values, 0, spec_.values * sizeof(uint64_t));
  const size_t cells = spec_.kinds.size();
  for (size_t cell = 0, chunk = 0; cell < cells; cell += per_chunk, chunk++) {
    const size_t length = std::min<size_t>(per_chunk, cells - cell);
    for (uint32_t row = 0; row < count; row += at_once) {
      const uint32_t rows = std::min(at_once, count - row);
      const size_t read = size_t{rows - 1} * granule + length * sizeof(uint64_t);
      if (!ReadFully(spec_.descriptor, bytes, read, spec_.rows.OffsetOf(static_cast<uint32_t>(chunk), first + row))) return false;
      for (uint32_t i = 0; i < rows; i++) {
        const auto* words = reinterpret_cast<const uint64_t*>(bytes + size_t{i} * granule);
        Combine(words, length, &spec_.kinds[cell], &spec_.slots[cell], spec_.values, row + i == 0, values);
      }
    }
  }
  return true;
}

bool KnownRegion::IsDirectorySame(RowMemory& memory) const {
  const size_t per_chunk = spec_.rows.granule_bytes / sizeof(uint64_t) * sizeof(DirectoryEntry);
  uint32_t chunk = 0;
  for (size_t begin = 0; begin < spec_.directory.size(); begin += per_chunk, chunk++) {
    const size_t bytes = std::min(per_chunk, spec_.directory.size() - begin);
    unsigned char* const now = memory.Get(bytes);
    if (now == nullptr || !ReadFully(spec_.descriptor, now, bytes, spec_.rows.OffsetOf(chunk, kFirstDirectoryRow))) return false;
    if (memcmp(now, &spec_.directory[begin], bytes) != 0) return false;
  }
  return true;
}

KnownRegion::Result KnownRegion::Read(uid_t user, RowMemory& memory, uint8_t* header, uint64_t* flushed, uint64_t* totals) {
  // Ask for the lock before the header is read: the writer's close() writes the state before it unlocks. The file of a
  // dead writer needs no question: no other writer ever takes it over, and whoever writes the last line changes the
  // header.
  bool is_held = spec_.is_held;
  if (!IsNamed(user) || (is_held && !IsFileLocked(spec_.descriptor, &is_held).ok()) || is_held != spec_.is_held) return kChanged;
  unsigned char* const now = memory.Get(sizeof(RegionHeader));
  if (now == nullptr || !ReadFully(spec_.descriptor, now, sizeof(RegionHeader), 0)) return kChanged;
  const uint8_t* const known = header_.data();
  const bool is_same = memcmp(now, known, sizeof(RegionHeader)) == 0;
  if (!is_same) {
    // The line in flight of a dead writer has to be settled.
    const bool has_only_flushed = is_held && IsSame(now, known, 0, kCommit) && IsSame(now, known, kCounts, kLine) &&
                                  IsSame(now, known, kLineEnd, sizeof(RegionHeader));
    if (!has_only_flushed) return kChanged;
  }
  memcpy(header, now, sizeof(RegionHeader));
  const uint64_t commit = WordAt(header, kCommit);
  // A writer that counts the changes of the directory has counted none: the count is among what is compared above.
  const bool counts_changes = WordAt(header, kDirectoryChanges) != 0;
  if (BankOf(commit) >= kBanks || (!counts_changes && !IsDirectorySame(memory))) return kChanged;
  // Read the banks before the shards: a counter only goes up, so a total that is read later is never less than the
  // flushed value.
  if (!ReadRows(memory, BankOf(commit), 1, flushed)) return kChanged;
  if (!ReadRows(memory, kFirstShardRow, spec_.shards_used, totals)) return kChanged;
  // Compare the counts too: the writer may have published them, with the commit word, after they were copied.
  unsigned char* const after = memory.Get(sizeof(RegionHeader));
  if (!ReadFully(spec_.descriptor, after + kCommit, kEpoch + sizeof(uint64_t) - kCommit, kCommit)) return kChanged;
  if (!IsSame(after, header, kCommit, kCountsEnd) || !IsSame(after, header, kEpoch, kEpoch + sizeof(uint64_t))) return kChanged;
  if (is_same) return kSame;
  memcpy(header_.data(), header, sizeof(RegionHeader));
  return kFlushed;
}

}  // namespace vmm

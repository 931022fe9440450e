// A FileRegion is a region in a file, guarded against the loss of its memory, without a store.
//
// Thread-safety:       as the region; see region/region.h.
// Async-signal-safety: none.
// Lifetime:            the object's destructor removes the file.

#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include "check.h"
#include "crash/capture.h"
#include "region/region.h"
#include "temporary_folder.h"

namespace vmm {

// Makes a file and locks it, as RegionFile does for the file of a region.
inline int OpenLocked(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  CHECK_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);
  return fd;
}

// The word of a cell in a mapped row.
inline std::atomic<uint64_t>& Word(void* row, uint32_t in_chunk) { return static_cast<Cell*>(row)[in_chunk].word; }

struct FileRegion {
  FileRegion() {
    CHECK(region.Create({0x1234, "{}", 2, OpenLocked(path)}).ok());
    CHECK(Guard(&region).ok());
    for (uint32_t row = 0; row < kBanks; row++) CHECK(region.AllocateRow(0, row).ok());
    for (uint32_t shard = 0; shard < kBackedShards; shard++) CHECK(region.AllocateRow(0, kFirstShardRow + shard).ok());
  }
  ~FileRegion() { Unguard(&region); }
  FileRegion(const FileRegion&) = delete;
  FileRegion& operator=(const FileRegion&) = delete;

  // Maps the row of that shard once more. As in a store, only one thread maps at a time.
  void* MapRow(uint32_t shard) {
    std::lock_guard<std::mutex> lock(map_lock);
    void* row = nullptr;
    CHECK(region.MapRow(0, kFirstShardRow + shard, &row).ok());
    return row;
  }
  void UnmapRow(void* row) {
    region.ForgetRow(row);
    region.UnmapRow(row, region.granule_bytes());
  }

  void Cut(uint64_t bytes = 0) { CHECK_EQ(truncate(path.c_str(), static_cast<off_t>(bytes)), 0); }
  uint64_t FileBytes() {
    struct stat info = {};
    CHECK_EQ(stat(path.c_str(), &info), 0);
    return static_cast<uint64_t>(info.st_size);
  }
  bool SaysDegraded() { return region.is_degraded() && region.header().degraded.load() == 1; }

  static constexpr uint32_t kBackedShards = 8;
  TemporaryFolder folder;
  const std::string path = folder / "r";
  std::mutex map_lock;
  Region region;
};

}  // namespace vmm

// Directory: what another process reads in it about each device, and that an entry has room before it is written.

#include "region/directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "check.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

std::string IdOf(uint32_t n) { return "drv" + std::to_string(n) + (n % 7 == 0 ? std::string(kIdBytesMax - 10, 'x') : ""); }

// Finds an entry as docs/format.md describes.
const unsigned char* EntryAt(Region& region, uint32_t n) {
  const uint64_t chunk_cells = region.granule_bytes() / 8;
  const uint64_t chunk = n / chunk_cells;
  return region.base() + region.header().chunks_offset + (chunk * kRows + kBanks) * region.granule_bytes() +
         n % chunk_cells * sizeof(DirectoryEntry);
}

TEST("given more devices than a chunk has entries, when each is added, then its entry is where the format says") {
  Region region;
  CHECK(region.Create({}).ok());
  Directory directory(region);
  const uint32_t count = region.chunk_cells() + 40;
  for (uint32_t n = 0; n < count; n++) {
    CHECK(directory.Reserve().ok());
    CHECK(directory.Reserve().ok());
    CHECK_EQ(region.devices_used(), n);
    CHECK_EQ(directory.Add(n % 3, IdOf(n), 10 + 2 * n), n);
    CHECK_EQ(region.header().devices_used.load(), n + 1);
  }
  directory.Remove(5);
  directory.Remove(region.chunk_cells());
  for (uint32_t n = 0; n < count; n++) {
    const DirectoryEntry& entry = *reinterpret_cast<const DirectoryEntry*>(EntryAt(region, n));
    CHECK_EQ(entry.group, n % 3);
    CHECK_EQ(entry.first_cell, 10 + 2 * n);
    const EntryState state = n == 5 || n == region.chunk_cells() ? EntryState::kRemoved : EntryState::kLiving;
    CHECK_EQ(entry.state.load(), EntryWord(state, n + 1));
    CHECK_EQ(entry.id_bytes, IdOf(n).size());
    CHECK_EQ(std::string(entry.id), IdOf(n));  // ends with a NUL
  }
}

TEST("given a directory, when an entry is added, removed, retired, freed and used again, then each change is counted") {
  Region region;
  CHECK(region.Create({}).ok());
  Directory directory(region);
  const auto changes = [&] { return region.header().directory_changes.load(); };
  CHECK(directory.Reserve().ok());
  CHECK_EQ(changes(), 0);
  CHECK_EQ(directory.Add(0, "a", 1), 0);
  CHECK_EQ(changes(), 1);
  directory.Remove(0);
  CHECK_EQ(changes(), 2);
  directory.Retire(0, 1);
  CHECK_EQ(changes(), 3);
  directory.Free(0);
  CHECK_EQ(changes(), 4);
  CHECK_EQ(directory.Add(0, "b", 1), 0);
  CHECK_EQ(changes(), 5);
}

TEST("given an entry that lies in two rows, when room is made for it, then both rows are in the file") {
  TemporaryFolder folder;
  const std::string path = folder / "r";
  Region region;
  CHECK(region.Create({1, "", 0, open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)}).ok());
  Directory directory(region);
  for (uint32_t n = 0; n < region.chunk_cells(); n++) {
    CHECK(directory.Reserve().ok());
    const struct stat info = StatOf(path);
    const uint64_t end = static_cast<uint64_t>(EntryAt(region, n) - region.base()) + sizeof(DirectoryEntry);
    CHECK(static_cast<uint64_t>(info.st_size) >= end);
    CHECK(static_cast<uint64_t>(info.st_size) < end + region.granule_bytes());
    directory.Add(0, "d", n);
  }
}

}  // namespace
}  // namespace vmm

// A Region is the memory that holds all cells of a store. If the caller passes in the descriptor of a file, the memory
// is that file. Otherwise it is a memfd, or anonymous shared memory where a memfd of that size is not allowed.
//
// The process has its own copies (Control) of the counters in RegionHeader, because it must go on when the file loses
// the header. It reads and writes these copies, and repeats them in the header for readers in other processes.
//
// Thread-safety:       Create, AllocateRow and MapRow are called by one thread at a time (the store's lock). ForgetRow
//                      may be called without the lock, and the rest by any thread.
// Async-signal-safety: Repair is safe, and so are the inline functions except ForgetRow, DisconnectRow and UnmapRow.
//                      The other functions are not.
// Memory ordering:     see RegionHeader; the addresses never change while the region lives.
// Lifetime:            mapped from Create to destruction. A row that is mapped for JavaScript is a second mapping of
//                      the same memory, and lives until UnmapRow.

#pragma once

#include <sys/types.h>

#include <cstdint>

#include "base/status.h"
#include "region/cell.h"
#include "region/format.h"
#include "region/region_repair.h"
#include "region/reservation.h"
#include "region/row_mappings.h"

namespace vmm {

struct RegionSpec {
  uint64_t schema_fingerprint = 0;
  // For readers in other processes; see docs/format.md.
  const char* document = "";
  uint64_t document_bytes = 0;
  // The descriptor of an empty file, which the region owns from then on; -1: the region is no file.
  int file = -1;
};

class Region {
 public:
  Region() = default;
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  // Reserves the address space and writes the header and the document. No row has memory yet: an access to a row before
  // AllocateRow is a fault.
  Status Create(const RegionSpec& spec);

  // Gives row `row` of chunk `chunk` memory at once, and locks the memory where the process locks its memory. A full
  // disk, a full tmpfs, and a limit on file sizes or locked memory are errors here, never a SIGBUS or SIGXFSZ later.
  // (The limit of a memory cgroup is no error of any call: the kernel's OOM killer ends the process.)
  Status AllocateRow(uint32_t chunk, uint32_t row);

  // Maps a row once more, for one JavaScript thread; see RowMappings. The row has memory already: a mapping that was
  // made before AllocateRow can never be touched.
  Status MapRow(uint32_t chunk, uint32_t row, void** address);
  // Maps the header once more, likewise.
  Status MapHeader(void** address);
  static void UnmapRow(void* address, size_t bytes) { RowMappings::Unmap(address, bytes); }
  // Call it before UnmapRow, while the region lives: after this, nothing here uses the mapping.
  void ForgetRow(void* address) { rows_.Forget(address); }
  // Forgets the mapping and puts throwaway memory in its place: a thread that still writes there changes nothing.
  void DisconnectRow(void* address) { rows_.Disconnect(address); }

  // When `address` is in this region or in a mapped row: replaces the memory that was lost there, in every mapping, by
  // new memory that is all 0, and sets `degraded`. False when the address is not ours, or when there is no memory.
  bool Repair(void* address);

  // For a forked child: drops the parent's memory and file. What the child counts goes nowhere.
  void Abandon();

  // Releases the lock on the file, so that another region may take the file's place while this mapping lives on.
  void Unlock();

  RegionHeader& header() const { return *reinterpret_cast<RegionHeader*>(base()); }
  unsigned char* base() const { return space_.base(); }
  uint32_t granule_bytes() const { return granule_bytes_; }
  uint32_t chunk_cells() const { return 1u << chunk_shift_; }
  uint32_t chunk_of(uint32_t index) const { return index >> chunk_shift_; }
  uint32_t max_cells() const { return kCellsMax; }
  bool is_file() const { return is_file_; }
  // The file's descriptor, which stays the region's; -1: the region is no file.
  int file() const { return is_file_ ? fd_ : -1; }

  // The offset of cell `index` of a row, in bytes from the start of the region.
  uint64_t OffsetOf(uint32_t row, uint32_t index) const {
    return RowOffset(index >> chunk_shift_, row) + (index & (chunk_cells() - 1)) * sizeof(Cell);
  }
  Cell& At(uint32_t row, uint32_t index) const { return *reinterpret_cast<Cell*>(base() + OffsetOf(row, index)); }
  Cell& InShard(uint32_t shard, uint32_t index) const { return At(kFirstShardRow + shard, index); }
  Cell& InBank(uint32_t bank, uint32_t index) const { return At(bank, index); }
  DirectoryEntry& InDirectory(uint32_t entry) const {
    return reinterpret_cast<DirectoryEntry*>(base() +
                                             RowOffset(entry >> chunk_shift_, kFirstDirectoryRow))[entry & (chunk_cells() - 1)];
  }

  // The counters that RegionHeader defines, with the orders stated there: readers acquire what writers release.
  uint64_t commit() const { return control_.commit.load(std::memory_order_acquire); }
  // The bank that holds the values as last flushed. A flush changes which bank that is.
  uint32_t committed_bank() const { return BankOf(commit()); }
  uint32_t cells_used() const { return control_.cells_used.load(std::memory_order_acquire); }
  uint32_t shards_used() const { return control_.shards_used.load(std::memory_order_acquire); }
  uint32_t devices_used() const { return control_.devices_used.load(std::memory_order_acquire); }
  bool is_degraded() const { return control_.degraded.load(std::memory_order_acquire) != 0; }
  void SetCommit(uint64_t word) {
    control_.commit.store(word, std::memory_order_release);
    header().commit.store(word, std::memory_order_release);
  }
  void SetCellsUsed(uint32_t count) {
    control_.cells_used.store(count, std::memory_order_release);
    header().cells_used.store(count, std::memory_order_release);
  }
  void SetShardsUsed(uint32_t count) {
    control_.shards_used.store(count, std::memory_order_release);
    header().shards_used.store(count, std::memory_order_release);
  }
  void SetDevicesUsed(uint32_t count) {
    control_.devices_used.store(count, std::memory_order_release);
    header().devices_used.store(count, std::memory_order_release);
  }

 private:
  struct Control {
    std::atomic<uint64_t> commit{0};
    std::atomic<uint32_t> cells_used{0};
    std::atomic<uint32_t> shards_used{1};
    std::atomic<uint32_t> devices_used{0};
    std::atomic<uint32_t> degraded{0};
  };

  uint64_t RowOffset(uint32_t chunk, uint32_t row) const {
    return chunks_offset_ + (static_cast<uint64_t>(chunk) * kRows + row) * granule_bytes_;
  }
  Status MapGranule(uint64_t granule, void** address);
  void MakeMemoryFile();
  void WriteHeader(const RegionSpec& spec);
  Status Allocate(uint64_t offset, uint64_t bytes);
  Status AllocateInFile(uint64_t offset, uint64_t bytes);
  void SetDegraded();

  Reservation space_;
  uint64_t chunks_offset_ = 0;
  uint32_t granule_bytes_ = 0;
  uint32_t chunk_shift_ = 0;
  int fd_ = -1;  // -1: anonymous
  bool is_file_ = false;
  off_t file_bytes_ = 0;  // the length that this process gave the file
  Control control_;
  RowMappings rows_;
  RegionRepair repair_{space_, rows_};
};

}  // namespace vmm

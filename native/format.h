// The layout of a region: where each cell, bank and header field is.
//
//   header                      one granule
//   chunk 0, chunk 1, ...       each kRows rows of one granule:
//     row 0..2                  banks: values as last flushed, and working copies
//     row 3 + s                 shard s
//
// A chunk holds the same run of cells for every bank and shard, so that a region grows by whole chunks, a shard is never
// moved, and a thread can map just the rows it writes. A granule is a page, since rows are mapped one by one and must not
// share a cache line or a page.
//
// Thread-safety:       constants and plain arithmetic.
// Async-signal-safety: safe.
// Units:               an index counts cells; an offset counts bytes from the start of the region.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace vmm {

constexpr uint64_t kMagic = 0x31534349'52544d56u;  // "VMTRICS1", little-endian
constexpr uint32_t kFormatVersion = 1;

constexpr uint32_t kShards = 128;
constexpr uint32_t kSharedShard = 0;

// Two banks alternate between "as last flushed" and "working copy"; the third is the crash handler's working copy, so that
// it never disturbs a flush that it interrupted.
constexpr uint32_t kBanks = 3;
constexpr uint32_t kCrashBank = 2;
constexpr uint32_t kRows = kBanks + kShards;

// Address space, not memory: chunks get memory when they are used.
constexpr uint32_t kMaxChunks = 4096;

// A metric's cells lie in one run of this many, whatever the page size, so that one view of one chunk serves them.
constexpr uint32_t kRunCells = 512;

enum class RegionState : uint32_t { kRunning = 1, kClosed = 2, kCrashed = 3 };

// What the crash handler leaves beside the cells. `signal` is written last: 0 means there is no record.
struct CrashRecord {
  std::atomic<uint32_t> signal;
  int32_t code;      // si_code
  uint64_t address;  // si_addr, 0 where the signal has none
  int32_t thread_id;
  uint32_t reserved;
  int64_t realtime_ns;
};

struct RegionHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t granule_bytes;
  uint32_t shards;
  uint32_t banks;
  uint64_t schema_fingerprint;
  int32_t process_id;
  std::atomic<uint32_t> state;
  // Which bank holds the values as last flushed (low 2 bits), and how many commits there were (the rest). One store of
  // this word is the commit.
  std::atomic<uint64_t> commit;
  // How many cells are in use. Release: the cells below it have memory and a kind.
  std::atomic<uint32_t> cells_used;
  // One more than the highest shard ever claimed. Release: the shards below it have memory.
  std::atomic<uint32_t> shards_used;
  CrashRecord crash;
};

static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);
static_assert(sizeof(CrashRecord) == 32);
static_assert(sizeof(RegionHeader) == 88);
static_assert(offsetof(RegionHeader, commit) == 40 && offsetof(RegionHeader, crash) == 56);

}  // namespace vmm

// The layout of a region: where each cell, bank, directory entry and header field is. docs/format.md states it for
// readers in other processes; the two change together, and so does kFormatVersion.
//
//   header                      one granule
//   document                    the schema and what else a reader needs, as JSON; whole granules
//   chunk 0, chunk 1, ...       each kRows rows of one granule:
//     row 0..2                  banks: values as last flushed, and working copies
//     row 3..36                 directory: the devices
//     row 37 + s                shard s
//
// A chunk holds the same run of cells for every bank and shard, so that a region grows by whole chunks, a shard is
// never moved, and a thread can map just the rows it writes. A granule is a page, since rows are mapped one by one and
// must not share a cache line or a page. Banks come before shards: a cut that takes a bank takes the shards behind it
// too, so that nothing that was flushed looks pending again.
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
constexpr uint32_t kFormatVersion = 2;
constexpr uint32_t kByteOrder = 0x01020304;  // as its writer stores it

constexpr uint32_t kShards = 128;
constexpr uint32_t kSharedShard = 0;

// Two banks alternate between "as last flushed" and "working copy"; the third is the crash handler's working copy, so
// that it never disturbs a flush that it interrupted.
constexpr uint32_t kBanks = 3;
constexpr uint32_t kCrashBank = 2;

// RegionHeader::commit, taken apart and put together.
constexpr uint32_t BankOf(uint64_t commit) { return static_cast<uint32_t>(commit & 3); }
constexpr uint64_t LinesOf(uint64_t commit) { return commit >> 2; }
constexpr uint64_t CommitOf(uint64_t lines, uint32_t bank) { return lines << 2 | bank; }

// Address space, not memory: chunks get memory when they are used.
constexpr uint32_t kMaxChunks = 4096;

// A metric's cells lie in one run of this many, whatever the page size, so that one view of one chunk serves them.
constexpr uint32_t kRunCells = 512;

constexpr uint32_t kDocumentBytesMax = 1 << 19;
constexpr uint32_t kIdBytesMax = 255;
constexpr uint32_t kSinkPathBytesMax = 2048;  // with its NUL

// What one store can hold at one time. What a writer can make, a reader can read: the limits are those of both.
constexpr uint32_t kCellsMax = 1 << 21;    // kMaxChunks of the smallest pages
constexpr uint32_t kDevicesMax = 1 << 17;  // with those that were removed and have not been retired
constexpr uint64_t kLineBytesMax = 1 << 27;

// What an entry of the directory stands for: the low bits of its `state`. The bits above say as which one of all it was
// made; of kRetiring they are the lowest bits of the epoch that retires the device.
enum class EntryState : uint32_t {
  kLiving = 0,
  kRemoved = 1,   // it was taken out of the line
  kRetiring = 2,  // its totals are in those of its group's retired devices, once the header has that epoch
  kFree = 3,      // it stands for nothing
  // One of each a group, made with the store. Nobody can write to a device that was retired; what comes through the
  // accessors that once were its own is counted here.
  kRest = 4,
  // The totals of the group's retired devices, in two copies: an even epoch of the header names the first one.
  kRetiredEven = 5,
  kRetiredOdd = 6,
};
constexpr uint32_t kEntryStateBits = 3;
constexpr uint32_t kEntryCountMask = ~0u >> kEntryStateBits;
constexpr uint32_t EntryWord(EntryState state, uint64_t count) {
  return static_cast<uint32_t>(state) | (static_cast<uint32_t>(count) & kEntryCountMask) << kEntryStateBits;
}

// One device, for readers in other processes. Complete before `devices_used` counts it, and before `state` says that it
// stands for something again.
struct DirectoryEntry {
  uint32_t group;  // its number, counted from 0 in the order of the schema
  uint32_t first_cell;
  std::atomic<uint32_t> state;  // see EntryWord; release: publishes the other fields
  uint32_t id_bytes;
  char id[256];  // UTF-8
};

// As many entries as a chunk has cells: each device has a cell, so entry n is in a chunk that there is.
constexpr uint32_t kDirectoryRows = sizeof(DirectoryEntry) / sizeof(uint64_t);
constexpr uint32_t kFirstDirectoryRow = kBanks;
constexpr uint32_t kFirstShardRow = kBanks + kDirectoryRows;
constexpr uint32_t kRows = kFirstShardRow + kShards;

// How the writer is, or how it ended.
enum class RegionState : uint32_t {
  kRunning = 1,
  kClosed = 2,    // by close()
  kCrashed = 3,   // by a captured signal; CrashRecord has it
  kExited = 4,    // with RegionHeader::exit_code, without close()
  kPanicked = 5,  // by an uncaught exception or unhandled rejection, with RegionHeader::exit_code
};

// What the crash handler leaves beside the cells. `signal` is written last: 0 means there is no record.
struct CrashRecord {
  std::atomic<uint32_t> signal;
  int32_t code;      // si_code
  uint64_t address;  // si_addr, 0 where the signal has none
  int32_t thread_id;
  uint32_t reserved;
  int64_t realtime_ns;
};

// A line that is on its way out, for who finds the process dead. It counts as flushed once `RegionHeader::commit` is
// `commit`.
struct LineInFlight {
  // What RegionHeader::commit will be when the line is out; 0: there is none. Written last, with release.
  std::atomic<uint64_t> commit;
  // The sink: which file, and where in it the line begins (of one that is no regular file 0).
  uint64_t device;
  uint64_t inode;
  uint64_t offset;
  // How long it is with the newlines around it, and how much of it the kernel has taken, as far as the writer had
  // noted.
  uint64_t bytes;
  std::atomic<uint64_t> sent;
  uint32_t is_regular_file;
  uint32_t reserved;
};

struct RegionHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t byte_order;
  uint32_t granule_bytes;
  uint32_t shards;
  uint32_t banks;
  uint32_t directory_rows;
  uint64_t schema_fingerprint;
  uint64_t document_offset;
  uint64_t document_bytes;
  uint64_t chunks_offset;
  int32_t process_id;  // as the process itself sees it
  std::atomic<uint32_t> state;
  // The process among all that had its number: clock ticks from boot to its start, as /proc/<pid>/stat has it.
  uint64_t process_start_ticks;
  int64_t process_start_realtime_ns;
  char boot_id[40];  // as /proc/sys/kernel/random/boot_id, without its newline
  // Which bank holds the values as last flushed (low 2 bits), and how many commits there were (the rest). One store of
  // this word is the commit.
  std::atomic<uint64_t> commit;
  // How many cells are in use. Release: the cells below it have memory.
  std::atomic<uint32_t> cells_used;
  // One more than the highest shard ever claimed. Release: the shards below it have memory.
  std::atomic<uint32_t> shards_used;
  // How many entries the directory has. Release: publishes the entries below it.
  std::atomic<uint32_t> devices_used;
  // 1: memory of this region was lost under the process (its file was cut short, or its disk failed), and values with
  // it.
  std::atomic<uint32_t> degraded;
  CrashRecord crash;
  LineInFlight line;
  int32_t exit_code;  // published by `state`, for kExited and kPanicked
  // 1: a line went out of which nobody can tell how much the sink took; what it said may be pending, and be said twice.
  std::atomic<uint32_t> unsettled;
  // How often devices were retired. One store of this word retires them; release: publishes the totals in the copy that
  // its lowest bit names.
  std::atomic<uint64_t> retired_epoch;
  uint64_t reserved[32];
  // Where lines go, absolute, NUL-terminated; empty: nowhere yet, or not known.
  char sink_path[kSinkPathBytesMax];
};

static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<uint64_t>) == 8 && sizeof(std::atomic<uint32_t>) == 4);
static_assert(sizeof(DirectoryEntry) == 272 && offsetof(DirectoryEntry, id) == 16 && kIdBytesMax < sizeof(DirectoryEntry::id));
static_assert(kDirectoryRows * sizeof(uint64_t) == sizeof(DirectoryEntry));
static_assert(kDirectoryRows == 34 && kFirstShardRow == 37 && kRows == 165);
static_assert(sizeof(CrashRecord) == 32 && sizeof(LineInFlight) == 56);
static_assert(sizeof(RegionHeader) == 2560);

// Every offset that docs/format.md states.
static_assert(offsetof(RegionHeader, magic) == 0 && offsetof(RegionHeader, version) == 8 &&
              offsetof(RegionHeader, byte_order) == 12 && offsetof(RegionHeader, granule_bytes) == 16 &&
              offsetof(RegionHeader, shards) == 20 && offsetof(RegionHeader, banks) == 24 &&
              offsetof(RegionHeader, directory_rows) == 28 && offsetof(RegionHeader, schema_fingerprint) == 32 &&
              offsetof(RegionHeader, document_offset) == 40 && offsetof(RegionHeader, document_bytes) == 48 &&
              offsetof(RegionHeader, chunks_offset) == 56 && offsetof(RegionHeader, process_id) == 64 &&
              offsetof(RegionHeader, state) == 68 && offsetof(RegionHeader, process_start_ticks) == 72 &&
              offsetof(RegionHeader, process_start_realtime_ns) == 80 && offsetof(RegionHeader, boot_id) == 88 &&
              offsetof(RegionHeader, commit) == 128 && offsetof(RegionHeader, cells_used) == 136 &&
              offsetof(RegionHeader, shards_used) == 140 && offsetof(RegionHeader, devices_used) == 144 &&
              offsetof(RegionHeader, degraded) == 148 && offsetof(RegionHeader, crash) == 152 &&
              offsetof(RegionHeader, line) == 184 && offsetof(RegionHeader, exit_code) == 240 &&
              offsetof(RegionHeader, unsettled) == 244 && offsetof(RegionHeader, retired_epoch) == 248 &&
              offsetof(RegionHeader, reserved) == 256 && offsetof(RegionHeader, sink_path) == 512);
static_assert(offsetof(CrashRecord, code) == 4 && offsetof(CrashRecord, address) == 8 && offsetof(CrashRecord, thread_id) == 16 &&
              offsetof(CrashRecord, realtime_ns) == 24);
static_assert(offsetof(LineInFlight, device) == 8 && offsetof(LineInFlight, inode) == 16 &&
              offsetof(LineInFlight, offset) == 24 && offsetof(LineInFlight, bytes) == 32 && offsetof(LineInFlight, sent) == 40 &&
              offsetof(LineInFlight, is_regular_file) == 48);
static_assert(offsetof(DirectoryEntry, first_cell) == 4 && offsetof(DirectoryEntry, state) == 8 &&
              offsetof(DirectoryEntry, id_bytes) == 12);

}  // namespace vmm

// The layout of a region: the place of each cell, bank, directory entry and header field. docs/format.md states the
// layout for readers in other processes. A change here changes that page and kFormatVersion too.
//
//   header                      one granule
//   document                    the schema and everything else that a reader needs, as JSON; whole granules
//   chunk 0, chunk 1, ...       each kRows rows of one granule:
//     row 0..2                  banks: the values as last flushed, and working copies
//     row 3..36                 directory: the devices
//     row 37 + s                shard s
//
// A chunk holds the same run of cells for every bank and shard. So a region grows by whole chunks, a shard never moves,
// and a thread maps only the rows that it uses. A granule is a page: rows are mapped one by one, and must not share a
// cache line. Banks come before shards: if a file is cut short inside a bank, the shards behind it are lost too, so
// that no value that was flushed looks pending again.
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
constexpr uint32_t kFormatVersion = 3;
constexpr uint32_t kByteOrder = 0x01020304;  // as its writer stores it

constexpr uint32_t kShards = 128;
constexpr uint32_t kSharedShard = 0;

// Two banks take turns: one holds the values as last flushed, the other is the working copy of the next flush. The
// third bank is the crash handler's working copy, so that a handler does not disturb a flush that it interrupted.
constexpr uint32_t kBanks = 3;
constexpr uint32_t kCrashBank = 2;

// The two parts of RegionHeader::commit: how many lines were committed, and the committed bank.
constexpr uint32_t BankOf(uint64_t commit) { return static_cast<uint32_t>(commit & 3); }
constexpr uint64_t LinesOf(uint64_t commit) { return commit >> 2; }
constexpr uint64_t CommitOf(uint64_t lines, uint32_t bank) { return lines << 2 | bank; }

// Address space, not memory: chunks get memory when they are used.
constexpr uint32_t kMaxChunks = 4096;

// All cells of one metric are in one run of this many cells, whatever the page size, so that a view of one chunk is
// enough.
constexpr uint32_t kRunCells = 512;

constexpr uint32_t kDocumentBytesMax = 1 << 19;
constexpr uint32_t kIdBytesMax = 255;
constexpr uint32_t kSinkPathBytesMax = 2048;  // with its NUL

// What one store can hold at one time. Writers and readers have the same limits, so a reader can read whatever a writer
// can make.
constexpr uint32_t kCellsMax = 1 << 21;    // kMaxChunks of the smallest pages
constexpr uint32_t kDevicesMax = 1 << 17;  // including devices that are removed and not yet retired
constexpr uint64_t kLineBytesMax = 1 << 27;

// What a directory entry stands for: the low bits of its `state`. The bits above are the device's number among all that
// were ever in the directory; for kRetiring they are the lowest bits of the epoch that retires the device.
enum class EntryState : uint32_t {
  kLiving = 0,
  kRemoved = 1,   // removed: the line no longer has an object for the device
  kRetiring = 2,  // its totals count among the group's retired devices once the header has that epoch
  kFree = 3,      // it stands for no device
  // Each group has one entry of each of the next three kinds, made with the store. The cells of kRest count what is
  // added through accessors of devices that are retired.
  kRest = 4,
  // The totals of the group's retired devices, in two copies: the first counts while the header's epoch is even.
  kRetiredEven = 5,
  kRetiredOdd = 6,
};
constexpr uint32_t kEntryStateBits = 3;
constexpr uint32_t kEntryCountMask = ~0u >> kEntryStateBits;
constexpr uint32_t EntryWord(EntryState state, uint64_t count) {
  return static_cast<uint32_t>(state) | (static_cast<uint32_t>(count) & kEntryCountMask) << kEntryStateBits;
}

// One device, for readers in other processes. The other fields are complete before `devices_used` counts the entry, and
// before `state` says that a free entry stands for a device again.
struct DirectoryEntry {
  uint32_t group;  // the group's number, counted from 0 in the order of the schema
  uint32_t first_cell;
  std::atomic<uint32_t> state;  // see EntryWord; release: publishes the other fields
  uint32_t id_bytes;
  char id[256];  // UTF-8
};

// A chunk has as many directory entries as cells. Each device has a cell, so the chunk of entry n exists.
constexpr uint32_t kDirectoryRows = sizeof(DirectoryEntry) / sizeof(uint64_t);
constexpr uint32_t kFirstDirectoryRow = kBanks;
constexpr uint32_t kFirstShardRow = kBanks + kDirectoryRows;
constexpr uint32_t kRows = kFirstShardRow + kShards;

// What the writer is doing, or how it ended.
enum class RegionState : uint32_t {
  kRunning = 1,
  kClosed = 2,    // by close()
  kCrashed = 3,   // by a captured signal, which CrashRecord describes
  kExited = 4,    // with RegionHeader::exit_code, without close()
  kPanicked = 5,  // by an uncaught exception or unhandled rejection, with RegionHeader::exit_code
};

// What the crash handler leaves in the header. `signal` is written last; 0: there is no record.
struct CrashRecord {
  std::atomic<uint32_t> signal;
  int32_t code;      // si_code
  uint64_t address;  // si_addr; 0 for a signal without an address
  int32_t thread_id;
  uint32_t reserved;
  int64_t realtime_ns;
};

// The line that is being sent, for a reader that finds the process dead. The line is flushed once
// `RegionHeader::commit` equals `commit`.
struct LineInFlight {
  // What RegionHeader::commit will be when the line is out; 0: no line is being sent. Written last, with release, which
  // publishes the other fields.
  std::atomic<uint64_t> commit;
  // The sink: which file it is, and the offset at which the line begins (0 if the sink is not a regular file).
  uint64_t device;
  uint64_t inode;
  uint64_t offset;
  // The length of the line with the newlines around it, and how many of these bytes the kernel is known to have taken.
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
  int32_t process_id;  // in the process's own PID namespace
  std::atomic<uint32_t> state;
  // Tells the process from others with the same id: clock ticks from boot to its start, field 22 of /proc/<pid>/stat.
  uint64_t process_start_ticks;
  int64_t process_start_realtime_ns;
  char boot_id[40];  // the text of /proc/sys/kernel/random/boot_id, without its newline
  // The bank that holds the values as last flushed (low 2 bits), and the number of commits (the rest). One store of
  // this word is the commit. Release: publishes that bank.
  std::atomic<uint64_t> commit;
  // How many cells are in use. Release: publishes the memory of these cells.
  std::atomic<uint32_t> cells_used;
  // One more than the highest shard that was ever claimed. Release: publishes the memory of these shards.
  std::atomic<uint32_t> shards_used;
  // How many entries the directory has. Release: publishes these entries.
  std::atomic<uint32_t> devices_used;
  // 1: this region has lost memory, and with it values, because its file was cut short or its disk failed.
  std::atomic<uint32_t> degraded;
  CrashRecord crash;
  LineInFlight line;
  std::atomic<int32_t> exit_code;  // for kExited and kPanicked, -1: not known; `state` publishes it
  // 1: the sink took an unknown part of a line. The values of that line may still be pending, so the next line may
  // repeat them.
  std::atomic<uint32_t> unsettled;
  // How often devices were retired. One store of this word retires devices. Release: publishes the copy of the totals
  // that the lowest bit selects.
  std::atomic<uint64_t> retired_epoch;
  // How often the directory has changed, counted after each change. Release: publishes the change. 0: a writer of
  // another release, which does not count.
  std::atomic<uint64_t> directory_changes;
  uint64_t reserved[31];
  // The absolute path of the sink, NUL-terminated; empty: there is no sink yet, or its path is not known.
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
              offsetof(RegionHeader, directory_changes) == 256 && offsetof(RegionHeader, reserved) == 264 &&
              offsetof(RegionHeader, sink_path) == 512);
static_assert(offsetof(CrashRecord, code) == 4 && offsetof(CrashRecord, address) == 8 && offsetof(CrashRecord, thread_id) == 16 &&
              offsetof(CrashRecord, realtime_ns) == 24);
static_assert(offsetof(LineInFlight, device) == 8 && offsetof(LineInFlight, inode) == 16 &&
              offsetof(LineInFlight, offset) == 24 && offsetof(LineInFlight, bytes) == 32 && offsetof(LineInFlight, sent) == 40 &&
              offsetof(LineInFlight, is_regular_file) == 48);
static_assert(offsetof(DirectoryEntry, first_cell) == 4 && offsetof(DirectoryEntry, state) == 8 &&
              offsetof(DirectoryEntry, id_bytes) == 12);

}  // namespace vmm

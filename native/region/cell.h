// A Cell is one 64-bit word of a metric, in one shard or bank of the region.
//
// Thread-safety:       any thread or process may call any function here.
// Async-signal-safety: safe; lock-free atomics only, and errno stays as it was.
// Memory ordering:     relaxed. A cell publishes nothing but itself: no reader infers other memory from its value. The
//                      modification order of one cell still makes a counter monotonic for each reader.
// Units:               chosen by the schema; this file never converts.

#pragma once

#include <atomic>
#include <cstdint>

namespace vmm {

struct Cell {
  std::atomic<uint64_t> word;
};

// Signal handlers and other processes share the region, so a hidden lock could deadlock.
static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(sizeof(Cell) == 8 && alignof(Cell) == 8);

// Stands for no cell where a cell's index is expected.
constexpr uint32_t kNoCell = ~0u;

// How the shards of a cell become one value, and how that value is shown.
enum class CellKind : uint8_t {
  kNone,    // a gap in the layout
  kInc,     // the sum over all shards; a line shows the delta since the last flush
  kStore,   // the value in shard 0, the only shard that is written
  kMin,     // the largest value over all shards; cells hold the complement of the minimum, so an untouched 0 means none
  kMax,     // the largest value over all shards
  kTally,   // the sum over all shards; in no bank, because no line shows it
  kBucket,  // as kInc, and part of a histogram: the cells of its extremes tell which of its buckets can hold anything
};

// Whether the value of a cell is the sum over all shards.
constexpr bool IsSum(CellKind kind) { return kind == CellKind::kInc || kind == CellKind::kTally || kind == CellKind::kBucket; }

inline uint64_t Read(const Cell& cell) noexcept { return cell.word.load(std::memory_order_relaxed); }
inline void Set(Cell& cell, uint64_t value) noexcept { cell.word.store(value, std::memory_order_relaxed); }

// For a cell that several threads or a handler write.
inline void AddShared(Cell& cell, uint64_t n) noexcept { cell.word.fetch_add(n, std::memory_order_relaxed); }

// Sets the cell to `value` if that is larger than the cell's value.
inline void RaiseShared(Cell& cell, uint64_t value) noexcept {
  uint64_t now = Read(cell);
  while (value > now && !cell.word.compare_exchange_weak(now, value, std::memory_order_relaxed, std::memory_order_relaxed)) {
  }
}

}  // namespace vmm

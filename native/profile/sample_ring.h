// A SampleRing carries rows of numbers from a profile's sampling thread to its writing thread. It holds 16 times 1000
// rows. The writing thread may take filled rows at any time, in any number.
//
// Thread-safety:       one thread fills (Next, Last, Publish) and one takes (Front, Take) at a time; the crash handler
//                      takes in the writer's place, see profile_output.h.
// Async-signal-safety: all functions but Create and Free are safe.
// Memory ordering:     Publish stores `filled_` with release, which publishes the row. Take stores `taken_` with
//                      release, which publishes that the row may be filled again. Each thread loads the other thread's
//                      count with acquire.
// Units:               rows; a row is `columns` words.
// Lifetime:            memory is mapped and populated by Create, so that no row costs a page fault, and unmapped by
//                      Free, or with the object.

#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "base/status.h"

namespace vmm {

class SampleRing {
 public:
  static constexpr uint64_t kRows = 16 * 1000;

  SampleRing() = default;
  ~SampleRing() { Free(); }
  SampleRing(const SampleRing&) = delete;
  SampleRing& operator=(const SampleRing&) = delete;

  // Called once. kMemory: there is no memory.
  Status Create(size_t columns) {
    columns_ = columns;
    bytes_ = kPlaces * columns * sizeof(uint64_t);
    void* const words = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (words == MAP_FAILED) return {Code::kMemory, errno, "mmap"};
    words_ = static_cast<uint64_t*>(words);
    return {};
  }

  // Frees the memory. Call it when neither thread uses the ring any more.
  void Free() {
    if (words_ != nullptr) munmap(words_, bytes_);
    words_ = nullptr;
  }

  // The row to fill, or null when all are full.
  uint64_t* Next() {
    const uint64_t filled = filled_.load(std::memory_order_relaxed);  // this thread's own
    return filled - taken_.load(std::memory_order_acquire) < kRows ? At(filled) : nullptr;
  }
  // Like Next, but for the very last row, which has a place reserved for it. Never null.
  uint64_t* Last() { return At(filled_.load(std::memory_order_relaxed)); }
  void Publish() { filled_.store(filled_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  // How many rows there have been.
  uint64_t filled() const { return filled_.load(std::memory_order_acquire); }
  // How many of them were taken.
  uint64_t taken() const { return taken_.load(std::memory_order_relaxed); }

  // The oldest row; there must be one.
  const uint64_t* Front() const { return At(taken()); }
  void Take() { taken_.store(taken() + 1, std::memory_order_release); }

  size_t columns() const { return columns_; }

 private:
  static constexpr uint64_t kPlaces = kRows + 1;
  static constexpr size_t kCacheLineBytes = 64;

  uint64_t* At(uint64_t row) const { return words_ + row % kPlaces * columns_; }

  uint64_t* words_ = nullptr;
  size_t bytes_ = 0;
  size_t columns_ = 0;
  // On separate cache lines, so that the two threads do not contend for one line at every row.
  alignas(kCacheLineBytes) std::atomic<uint64_t> filled_{0};
  alignas(kCacheLineBytes) std::atomic<uint64_t> taken_{0};
};

}  // namespace vmm

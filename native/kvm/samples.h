// KvmSamples puts KVM's statistics into cells. Each source is a statistics descriptor of one VM or vCPU; Sample reads
// each descriptor once. Flushes, profiles and the crash handler call it just before they read the cells.
//
// A counter's cell is never added to. It is raised to what KVM has counted, plus a constant. So any number of threads
// may sample at the same time, also a handler in the middle of a sample: the cell ends at the newest value that one of
// them has read, and never goes down.
//
// Thread-safety:       any thread may call Sample and ForEach, or have a Reading. Add and Remove are called under the
//                      store's lock.
// Async-signal-safety: Sample and ForEach are safe, at any moment; the others are not. Sample calls pread, and nothing
//                      else. It needs 4 KiB of stack.
// Memory ordering:     the list publishes a complete source, with release. See HandlerGate for how a source is taken
//                      away from threads that may be reading it.
// Lifetime:            a source is freed once the gate was empty after its Remove.

#pragma once

#include <atomic>
#include <cstdint>

#include "base/handler_gate.h"
#include "region/cell.h"

namespace vmm {

// One number of a source, and its metric.
struct KvmField {
  uint64_t offset;  // in the descriptor, in bytes
  Cell* cell;       // in the shared shard
  uint64_t factor;  // the metric is the number times this, plus `base`
  uint64_t base;    // of a counter: what earlier VMs or vCPUs have counted in this cell
  bool is_counter;
};

struct KvmSource {
  int fd = -1;
  const KvmField* fields = nullptr;  // sorted by their offsets
  uint32_t field_count = 0;
  // Why a read failed first, an errno; 0: none has. Relaxed: it publishes nothing but itself.
  mutable std::atomic<int> error{0};
  std::atomic<KvmSource*> next{nullptr};
};

class KvmSamples {
 public:
  KvmSamples() = default;
  KvmSamples(const KvmSamples&) = delete;
  KvmSamples& operator=(const KvmSamples&) = delete;

  // Reads every source. A source that cannot be read keeps its last values. When that happens first, the error cell
  // goes up by 1; the source is still tried at each later sample.
  void Sample() const {
    ForEach([this](const KvmSource& source) { Sample(source); });
  }
  // Reads one source. The caller has a Reading, or the store's lock.
  void Sample(const KvmSource& source) const;

  // While this object exists, no source is freed.
  class Reading {
   public:
    explicit Reading(const KvmSamples& samples) : inside_(samples.gate_) {}

   private:
    const HandlerGate::Inside inside_;
  };

  // Calls `visit` for each source, inside a Reading.
  template <typename Visit>
  void ForEach(Visit visit) const {
    const Reading reading(*this);
    for (const KvmSource* at = first_.load(std::memory_order_seq_cst); at != nullptr;
         at = at->next.load(std::memory_order_seq_cst)) {
      visit(*at);
    }
  }

  // How often sources have come or gone. If a caller with a Reading gets the same number as before, none of the sources
  // that it found then is freed: a source is freed only after the number has changed, see HandlerGate.
  uint32_t changes() const { return changes_.load(std::memory_order_seq_cst); }
  // Relaxed: it publishes nothing; a caller that reads it too early samples at its next turn.
  bool is_empty() const { return first_.load(std::memory_order_relaxed) == nullptr; }

  // How many sources could not be read, each counted once. Relaxed: it publishes nothing.
  uint32_t losses() const { return losses_.load(std::memory_order_relaxed); }

  // The cell that counts sources that cannot be read; null: none does. Called before Add.
  void CountErrorsIn(Cell* cell) { error_cell_ = cell; }
  void Add(KvmSource* source);
  void Remove(KvmSource* source);
  // Whether no thread has a Reading at this moment. Then all sources that were removed before may be freed.
  bool is_quiet() const { return gate_.is_empty(); }
  // Waits until that is so, for `limit_ms` at most: a thread has a Reading for microseconds, unless it has no
  // processor. True: no thread reads a source that was removed before, or writes to its cells.
  bool AwaitQuiet(int limit_ms) const;

 private:
  std::atomic<KvmSource*> first_{nullptr};
  std::atomic<uint32_t> changes_{0};
  mutable HandlerGate gate_;
  mutable std::atomic<uint32_t> losses_{0};
  Cell* error_cell_ = nullptr;
};

}  // namespace vmm

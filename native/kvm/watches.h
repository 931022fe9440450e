// KvmWatches decides which descriptors are sampled into which cells. A target is the VM of a store, or one of its vCPU
// devices; each target has at most one descriptor at a time.
//
// A counter of a target has the value of KVM's counter, with what KVM had counted before the watch began. If another VM
// or vCPU takes over a target, its counts are added to those of the one before. If the same VM or vCPU is watched
// again, nothing is counted twice.
//
// Thread-safety:       Prepare is called by any thread; the others under the store's lock.
// Async-signal-safety: none.
// Lifetime:            the cells and the samples outlive it. A target's cells stay the target's until FreeEnded has
//                      reported the target for each watch of it.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kvm/samples.h"
#include "kvm/statistics.h"
#include "region/cells.h"

namespace vmm {

// A metric of a store that shows one of KVM's statistics.
struct KvmMetric {
  std::string name;  // KVM's
  uint32_t cell;     // counted from the first cell of the target
};

class KvmWatches {
 public:
  // The target that is no device: the cells of its metrics are counted from cell 0.
  static constexpr uint32_t kVm = kNoCell;

  // A descriptor that was opened, checked and read.
  struct Prepared {
    OpenedKvmStatistics opened;
    KvmStatistics statistics;
    // The metrics that the descriptor has, and the statistic of each.
    struct Pair {
      uint32_t cell;
      KvmStatistic statistic;
      KvmMetricShape shape;
    };
    std::vector<Pair> pairs;
  };

  KvmWatches(KvmSamples& samples, const Cells& cells) : samples_(samples), cells_(cells) {}
  // Closes all descriptors. No other thread may be sampling any more.
  ~KvmWatches() = default;

  // Opens `fd` for those of `metrics` that it has; a metric that this kernel does not count keeps its 0. `kinds` are
  // the kinds of the target's cells. kWrongFile: it has none of the metrics, or one of another kind. Otherwise as
  // OpenKvmStatistics and KvmStatistics::Read.
  static Status Prepare(int fd, const std::vector<KvmMetric>& metrics, const std::vector<CellKind>& kinds, Prepared* prepared);

  // Samples the descriptor into the cells of the target from now on. An earlier descriptor of the target is sampled
  // once more, and its watch ends. Throws when there is no memory.
  void Begin(uint32_t target, Prepared&& prepared);

  // Samples the target once more, and ends its watch. False: it has none.
  bool End(uint32_t target);
  // The target's cells will belong to another device: nothing is remembered about its earlier watches.
  void Forget(uint32_t target) { earlier_.erase(target); }

  // Frees the descriptors of watches that have ended, unless a thread may still be reading one of them. Calls
  // `freed(target)` for each watch.
  template <typename Freed>
  void FreeEnded(Freed freed) {
    if (ended_.empty() || !samples_.is_quiet()) return;
    for (const std::unique_ptr<Watch>& watch : ended_) freed(watch->target);
    ended_.clear();
  }

  // The sources that could not be read since the last call, each with an errno.
  struct Loss {
    uint32_t target;
    int error;
  };
  std::vector<Loss> TakeLosses();

  // Ends all watches at once, without a sample. If a thread still reads one of the descriptors after a short wait, the
  // destructor closes them.
  void Close();

 private:
  struct Watch {
    KvmSource source;
    uint32_t target = kVm;
    OpenedKvmStatistics opened;
    std::string id;
    std::vector<KvmField> fields;
    bool is_loss_told = false;
  };
  struct Counted {
    uint64_t by_kvm;  // what the watch had read last
    uint64_t base;    // what the watches before it had counted
  };
  // What the last watch of a target has left behind.
  struct Earlier {
    std::string id;
    std::map<const Cell*, Counted> counted;
  };

  static Earlier LeftBy(const Watch& watch);
  // Sets the base of each counter, so that the target goes on from what its earlier watches have left.
  void Continue(uint32_t target, Watch* watch) const;

  KvmSamples& samples_;
  const Cells& cells_;
  std::map<uint32_t, std::unique_ptr<Watch>> watches_;
  std::map<uint32_t, Earlier> earlier_;
  std::vector<std::unique_ptr<Watch>> ended_;
};

}  // namespace vmm

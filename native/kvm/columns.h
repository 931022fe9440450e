// KvmColumns samples what the columns of one profile show, and nothing else: a tick must not wait for descriptors that
// no column needs.
//
// Thread-safety:       one thread, that of the profile.
// Async-signal-safety: none.
// Memory ordering:     see KvmSamples::changes.
// Lifetime:            the samples and the cells outlive it.

#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "kvm/samples.h"
#include "region/cells.h"

namespace vmm {

class KvmColumns {
 public:
  // `columns` are cells. Null samples: there are none.
  KvmColumns(const KvmSamples* samples, const Cells& cells, const std::vector<uint32_t>& columns);

  // Samples the sources that have a column. Sources that came after the profile started count too.
  void Sample();
  // How many sources the last Sample read.
  size_t sources() const { return wanted_.size(); }

 private:
  void Choose(uint32_t changes);
  bool HasColumn(const KvmSource& source) const;

  const KvmSamples* const samples_;
  std::set<const Cell*> columns_;
  // The sources with a column, when the sources had changed `changes_` times.
  std::vector<const KvmSource*> wanted_;
  uint32_t changes_ = 0;
};

}  // namespace vmm

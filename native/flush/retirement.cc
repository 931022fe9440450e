#include "flush/retirement.h"

namespace vmm {

namespace {

// Most words are 0 already, and a store to one of them would make a page of the region's file dirty.
void SetToZero(Cell& cell) {
  if (Read(cell) != 0) Set(cell, 0);
}

}  // namespace

Status Retirement::Create(const std::vector<std::vector<CellKind>>& kinds) {
  groups_.resize(kinds.size());
  for (uint32_t g = 0; g < kinds.size(); g++) {
    Group& group = groups_[g];
    uint32_t first[3] = {};
    const EntryState states[3] = {EntryState::kRest, EntryState::kRetiredEven, EntryState::kRetiredOdd};
    for (int i = 0; i < 3; i++) {
      if (Status status = directory_.Reserve(); !status.ok()) return status;
      const uint32_t count = static_cast<uint32_t>(kinds[g].size());
      if (Status status = cells_.Reserve(kinds[g].data(), count, &first[i]); !status.ok()) return status;
      directory_.Add(g, "", first[i], states[i]);
    }
    group.copies[0] = first[1];
    group.copies[1] = first[2];
    group.rest = devices_.MakeHidden(first[0]);
    group.retired = devices_.MakeHidden(first[1]);
  }
  return {};
}

uint32_t Retirement::UseRest(uint32_t group) {
  devices_.LinkHidden(group, groups_[group].rest);
  return groups_[group].rest->first_cell;
}

uint32_t Retirement::TakeRun(uint32_t group) {
  const uint32_t first = groups_[group].free.back();
  groups_[group].free.pop_back();
  return first;
}

bool Retirement::IsFullyFlushed(const Removed& removed) const {
  if (HasAggregate(program_, removed.group)) return true;
  const Region& region = cells_.region();
  const uint32_t bank = region.committed_bank();
  for (uint32_t i = 0; i < program_.groups[removed.group].cells; i++) {
    const uint32_t index = removed.device->first_cell + i;
    const CellKind kind = cells_.kind(index);
    if (!IsSum(kind) || kind == CellKind::kTally) continue;
    if (cells_.Total(index) != Read(region.InBank(bank, index))) return false;
  }
  return true;
}

uint64_t Retirement::Retire(const std::vector<Removed>& leaving) {
  if (leaving.empty()) return 0;
  const int now = static_cast<int>(epoch_ & 1);
  const uint64_t next = epoch_ + 1;
  for (uint32_t g = 0; g < groups_.size(); g++) {
    for (uint32_t i = 0; i < program_.groups[g].cells; i++)
      Fold(groups_[g].copies[now] + i, groups_[g].copies[1 - now] + i, true);
  }
  for (const Removed& one : leaving) {
    const uint32_t to = groups_[one.group].copies[1 - now];
    for (uint32_t i = 0; i < program_.groups[one.group].cells; i++) Fold(one.device->first_cell + i, to + i, false);
    directory_.Retire(one.device->directory_entry, next);
    Stored();
  }

  // Release: publishes the other copy. From here on that copy counts, and the devices no longer count.
  cells_.region().header().retired_epoch.store(next, std::memory_order_release);
  epoch_ = next;
  Stored();

  uint64_t line_bytes = 0;
  for (Group& group : groups_) group.retired->first_cell = group.copies[1 - now];
  for (const Removed& one : leaving) devices_.LinkHidden(one.group, groups_[one.group].retired);
  for (const Removed& one : leaving) {
    const uint32_t first = one.device->first_cell;
    Clear(first, program_.groups[one.group].cells);
    directory_.Free(one.device->directory_entry);
    Stored();
    const uint64_t room =
        devices_.KeyBytes(one.group, devices_.IdOf(one.group, *one.device)) + DeviceBytesMax(program_, one.group);
    if (devices_.Erase(one.group, one.device)) line_bytes += room;
    groups_[one.group].free.push_back(first);
  }
  return line_bytes;
}

void Retirement::Fold(uint32_t from, uint32_t to, bool is_first) {
  const CellKind kind = cells_.kind(from);
  if (kind == CellKind::kNone || kind == CellKind::kStore) return;
  const Region& region = cells_.region();
  // No thread has ever written to a copy in its own shard.
  const uint64_t total = is_first ? Read(cells_.Shared(from)) : cells_.Total(from);
  Cell& cell = cells_.Shared(to);
  if (!IsSum(kind)) {
    // Nobody is shown the extremes of retired devices. They tell flushes which buckets to read.
    if (is_first || total > Read(cell)) Set(cell, total);
    Stored();
    return;
  }
  for (uint32_t bank = 0; bank < kBanks && kind != CellKind::kTally; bank++) {
    const uint64_t flushed = Read(region.InBank(bank, from));
    // A counter whose memory was lost starts again at 0, and nothing of it was flushed.
    const uint64_t counted = total < flushed && region.is_degraded() ? 0 : flushed;
    Cell& copy = region.InBank(bank, to);
    Set(copy, is_first ? counted : Read(copy) + counted);
    Stored();
  }
  // In the shared shard only: no other thread writes to this cell.
  Set(cell, is_first ? total : Read(cell) + total);
  Stored();
}

void Retirement::Clear(uint32_t first_cell, uint32_t count) {
  const Region& region = cells_.region();
  const uint32_t shards = cells_.shards_used();
  for (uint32_t index = first_cell; index < first_cell + count; index++) {
    for (uint32_t shard = 0; shard < shards; shard++) SetToZero(region.InShard(shard, index));
    for (uint32_t bank = 0; bank < kBanks; bank++) SetToZero(region.InBank(bank, index));
    cells_.idle().Forget(index);
    Stored();
  }
}

}  // namespace vmm

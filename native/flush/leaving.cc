#include "flush/leaving.h"

#include <algorithm>
#include <cstring>

namespace vmm {

void Leaving::Add(Holder* holder) {
  // Relaxed: the thread holds none of the devices that have already begun to leave.
  holder->seen.store(epoch(), std::memory_order_relaxed);
  holders_.push_back(holder);
}

void Leaving::Remove(Holder* holder) { holders_.erase(std::remove(holders_.begin(), holders_.end(), holder), holders_.end()); }

void Leaving::Note(uint32_t group, const Device* device, const Holder* self) {
  std::deque<const Device*>& lingering = lingering_[group];
  const auto is_namesake = [device](const Device* other) {
    return other->key_bytes == device->key_bytes && std::memcmp(other->key, device->key, device->key_bytes) == 0;
  };
  const auto namesakes = std::count_if(lingering.begin(), lingering.end(), is_namesake);
  lingering.push_back(device);
  auto leaves = lingering.end();
  if (static_cast<size_t>(namesakes) >= kLingeringOfOneId) {
    leaves = std::find_if(lingering.begin(), lingering.end(), is_namesake);
  } else if (lingering.size() > kLingering) {
    leaves = lingering.begin();
  }
  if (leaves == lingering.end()) return;
  const uint64_t next = epoch() + 1;
  leaving_.push_back({{group, *leaves}, next});
  lingering.erase(leaves);
  epoch_.store(next, std::memory_order_relaxed);  // see epoch()
  for (Holder* holder : holders_) {
    // Relaxed: a holder that was already asked takes the lock before it looks, and then finds this device too.
    if (holder != self && holder->call && !holder->is_called.exchange(true, std::memory_order_relaxed)) holder->call();
  }
}

std::vector<Removed> Leaving::Since(const Holder& holder) const {
  const uint64_t seen = holder.seen.load(std::memory_order_relaxed);  // the holder's own
  std::vector<Removed> since;
  for (auto one = leaving_.rbegin(); one != leaving_.rend() && one->epoch > seen; ++one) since.push_back(one->removed);
  return since;
}

bool Leaving::Unpin(const Device* device) {
  const auto found = pins_.find(device);
  if (found == pins_.end()) return false;
  if (--found->second == 0) {
    pins_.erase(found);
    is_to_ask_ = true;
  }
  return true;
}

std::vector<Removed> Leaving::Take(size_t most, uint64_t commit, const std::function<bool(const Removed&)>& is_free) {
  std::vector<Removed> taken;
  const auto may_go = [&](const Removed& one) { return pins_.find(one.device) == pins_.end() && is_free(one); };
  if (commit != asked_commit_ || is_to_ask_) {
    size_t kept = 0;
    size_t i = 0;
    for (; i < waiting_.size() && taken.size() < most; i++) {
      if (may_go(waiting_[i])) {
        taken.push_back(waiting_[i]);
      } else {
        waiting_[kept++] = waiting_[i];
      }
    }
    const bool is_done = i == waiting_.size();
    waiting_.erase(waiting_.begin() + static_cast<ptrdiff_t>(kept), waiting_.begin() + static_cast<ptrdiff_t>(i));
    if (is_done) {
      asked_commit_ = commit;
      is_to_ask_ = false;
    }
  }
  uint64_t seen = ~uint64_t{0};
  // Acquire: pairs with the release with which a holder lets go.
  for (const Holder* holder : holders_) seen = std::min(seen, holder->seen.load(std::memory_order_acquire));
  while (!leaving_.empty() && leaving_.front().epoch <= seen && taken.size() < most) {
    const Removed one = leaving_.front().removed;
    leaving_.pop_front();
    (may_go(one) ? taken : waiting_).push_back(one);
  }
  return taken;
}

}  // namespace vmm

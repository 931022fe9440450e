#include "store/troubles.h"

#include <utility>

namespace vmm {

bool Troubles::HasListened() {
  std::lock_guard<std::mutex> lock(mutex_);
  return had_owner_;
}

bool Troubles::Listen(const void* owner, std::function<void()> call) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (had_owner_) return false;
  had_owner_ = true;
  owner_ = owner;
  call_ = std::move(call);
  return true;
}

void Troubles::Unlisten(const void* owner) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (owner_ != owner) return;
  owner_ = nullptr;
  call_ = nullptr;
  waiting_ = {};
}

void Troubles::AddMissed(const Status& status) {
  if (has_ended()) return;
  std::lock_guard<std::mutex> lock(mutex_);
  if (owner_ == nullptr) return;
  if (waiting_.missed.size() == kMissedMax) waiting_.missed.erase(waiting_.missed.begin());
  waiting_.missed.push_back(status);
  Tell();
}

void Troubles::AddDegraded() {
  if (has_ended()) return;
  std::lock_guard<std::mutex> lock(mutex_);
  if (owner_ == nullptr || std::exchange(was_degraded_, true)) return;
  waiting_.is_degraded = true;
  Tell();
}

void Troubles::AddDisplaced(SignalSet signals) {
  if (has_ended()) return;
  std::lock_guard<std::mutex> lock(mutex_);
  if (owner_ == nullptr || signals == 0) return;
  waiting_.displaced |= signals;
  Tell();
}

void Troubles::AddLostKvm() {
  if (has_ended()) return;
  std::lock_guard<std::mutex> lock(mutex_);
  if (owner_ == nullptr) return;
  waiting_.has_lost_kvm = true;
  Tell();
}

Troubles::Taken Troubles::Take() {
  std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(waiting_, {});
}

void Troubles::Tell() {
  if (call_ != nullptr) call_();
}

}  // namespace vmm

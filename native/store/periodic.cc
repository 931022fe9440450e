#include "store/periodic.h"

#include <system_error>

#include "base/asynchronous_signals.h"

namespace vmm {

Status Periodic::Start(uint64_t interval_ms) {
  std::lock_guard<std::mutex> control(control_);
  std::lock_guard<std::mutex> lock(mutex_);
  interval_ = std::chrono::milliseconds(interval_ms);
  if (thread_.joinable()) {
    restarted_ = true;
    changed_.notify_one();
    return {};
  }
  stopping_ = false;
  try {
    const AsynchronousSignalsBlocked blocked;
    thread_ = std::thread([this] { Run(); });
  } catch (const std::system_error& error) {
    return {Code::kThread, error.code().value(), "pthread_create"};
  }
  return {};
}

void Periodic::Stop() {
  std::lock_guard<std::mutex> control(control_);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Periodic::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  auto due = std::chrono::steady_clock::now() + interval_;
  while (!stopping_) {
    changed_.wait_until(lock, due, [this] { return stopping_ || restarted_; });
    if (stopping_) return;
    if (restarted_) {
      restarted_ = false;
      due = std::chrono::steady_clock::now() + interval_;
      continue;
    }
    lock.unlock();
    tick_();
    lock.lock();
    // The times of the ticks are fixed. A time that has passed is skipped.
    const auto now = std::chrono::steady_clock::now();
    if (due <= now) due += interval_ * ((now - due) / interval_ + 1);
  }
}

}  // namespace vmm

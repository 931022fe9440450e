#include "profile/sampler.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

namespace vmm {

namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kRowsPerNote = 256;
// A row is read again, up to kReadAgain times, when reading it took longer than kReadingNs plus kReadingCellNs for each
// column and kReadingKvmNs for each statistics descriptor of KVM.
constexpr uint64_t kReadingNs = 10'000;
constexpr uint64_t kReadingCellNs = 1'000;
constexpr uint64_t kReadingKvmNs = 2'000;
constexpr int kReadAgain = 3;

void Relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

}  // namespace

void Sampler::SleepWhile(State state, uint64_t until_ns) const {
  const timespec until = {static_cast<time_t>(until_ns / kSecondNs), static_cast<long>(until_ns % kSecondNs)};
  syscall(SYS_futex, &state_, FUTEX_WAIT_BITSET_PRIVATE, state, &until, nullptr, FUTEX_BITSET_MATCH_ANY);
}

void Sampler::SetState(State state) {
  state_.store(state, std::memory_order_release);
  syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, ~0u >> 1, nullptr, nullptr, 0);
}

void Sampler::Step(State from, State to) {
  uint32_t expected = from;
  // Release: publishes what the caller did before.
  if (!state_.compare_exchange_strong(expected, to, std::memory_order_release, std::memory_order_relaxed)) return;
  syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, ~0u >> 1, nullptr, nullptr, 0);
}

void Sampler::Start() { Step(kMade, kStarting); }

void Sampler::Cancel() { SetState(kCollected); }

void Sampler::RequestStop() {
  for (State state = this->state(); state < kStopping; state = this->state()) Step(state, kStopping);
}

bool Sampler::AwaitStart() {
  while (state() == kMade) SleepWhile(kMade, MonotonicNs() + kSecondNs);
  if (state() == kCollected) return false;
  spinning_cpu_.Begin();
  start_realtime_ns_ = RealtimeNs();
  origin_ns_ = MonotonicNs();
  return true;
}

void Sampler::Run() {
  Step(kStarting, kSampling);  // does nothing after RequestStop
  uint64_t due = origin_ns_ + interval_ns_;
  const auto skip_passed = [&](uint64_t now) {
    if (now < due) return;
    const uint64_t passed = (now - due) / interval_ns_ + 1;
    missed_ticks_ += passed;
    due += passed * interval_ns_;
  };
  for (uint64_t now = origin_ns_; state() < kStopping; now = MonotonicNs()) {
    skip_passed(now);
    now = WaitUntil(due);
    if (now < due) break;  // RequestStop was called
    uint64_t* const row = ring_.Next();
    if (row == nullptr) {
      back_offs_++;
      WaitUntil(now + kBackOffTicks * interval_ns_);
      continue;
    }
    lateness_.Record(TakeSample(row, now) - due);
    if (interval_ns_ < kSleepFromNs && ring_.filled() % kRowsPerNote == 0) spinning_cpu_.Note();
    due += interval_ns_;
  }
  skip_passed(TakeSample(ring_.Last(), MonotonicNs()));
}

uint64_t Sampler::TakeSample(uint64_t* row, uint64_t now_ns) {
  for (int again = kReadAgain;; again--) {
    kvm_.Sample();
    uint64_t* field = row;
    *field++ = now_ns - origin_ns_;
    for (const uint32_t cell : columns_) {
      const uint64_t total = cells_.Total(cell);
      *field++ = cells_.kind(cell) == CellKind::kMin ? MinimumOf(total, cells_.Total(cell + 1)) : total;
    }
    // When the thread lost its processor in between, the first values are older than the last ones.
    const uint64_t after_ns = MonotonicNs();
    const uint64_t limit_ns = kReadingNs + kReadingCellNs * columns_.size() + kReadingKvmNs * kvm_.sources();
    if (after_ns - now_ns <= limit_ns || again == 0) break;
    now_ns = after_ns;
  }
  ring_.Publish();
  return now_ns;
}

uint64_t Sampler::WaitUntil(uint64_t due_ns) {
  // A back-off is longer than any interval here, so it sleeps, and leaves the processor to the writing thread.
  const uint64_t spin_ns = interval_ns_ >= kSleepOnlyNs ? 0 : interval_ns_ >= kSleepFromNs ? kSpinLastNs : kSleepFromNs;
  for (;;) {
    const uint64_t now = MonotonicNs();
    if (now >= due_ns) return now;
    const State state = this->state();
    if (state >= kStopping) return now;
    if (due_ns - now > spin_ns) {
      SleepWhile(state, due_ns - spin_ns);
    } else {
      Relax();
    }
  }
}

SampleFigures Sampler::Figures() const {
  SampleFigures figures;
  figures.samples = ring_.filled();
  figures.missed_ticks = missed_ticks_;
  figures.back_offs = back_offs_;
  figures.late_ns_median = lateness_.Quantile(1, 2);
  figures.late_ns_p99 = lateness_.Quantile(99, 100);
  figures.late_ns_max = lateness_.max();
  return figures;
}

}  // namespace vmm

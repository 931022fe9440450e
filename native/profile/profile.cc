#include "profile/profile.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "base/clock.h"
#include "base/signal_mask.h"
#include "base/survival.h"
#include "profile/profile_outputs.h"

namespace vmm {

namespace {

constexpr size_t kBufferBytes = 64 * 1024;
constexpr size_t kCommentBytesMax = 512;
constexpr int kRetryMs = 5;
constexpr uint64_t kRowsPerHint = 256;
// A row that took longer to read than so much, and so much for each column, is read again, so often at most.
constexpr uint64_t kReadingNs = 10'000;
constexpr uint64_t kReadingOneNs = 1'000;
constexpr int kReadAgain = 3;

void Relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Sleeps while the word has that value, until `until_ns` at most. Not a condition variable: the sampling thread takes
// no lock.
void SleepWhile(const std::atomic<uint32_t>& word, uint32_t value, uint64_t until_ns) {
  const timespec until = {static_cast<time_t>(until_ns / 1'000'000'000), static_cast<long>(until_ns % 1'000'000'000)};
  syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, value, &until, nullptr, FUTEX_BITSET_MATCH_ANY);
}

void WakeAll(const std::atomic<uint32_t>& word) { syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, ~0u >> 1, nullptr, nullptr, 0); }

}  // namespace

Profile::Profile(const Cells& cells, ProfileSpec&& spec) : cells_(cells), spec_(std::move(spec)) {}

Status Profile::Start(const Cells& cells, ProfileSpec&& spec, std::shared_ptr<Profile>* profile) {
  const auto made = std::make_shared<Profile>(cells, std::move(spec));
  if (Status status = made->Open(); !status.ok()) return status;
  try {
    const AsynchronousSignalsBlocked blocked;
    made->collector_ = std::thread([&self = *made] { self.Collect(); });
    std::thread([made] { made->Write(); }).detach();
  } catch (const std::system_error& error) {
    made->Cancel(false);
    return {Code::kThread, error.code().value(), "pthread_create"};
  }
  // Last: when something is missing, what was in it is there still.
  if (Status status = made->spec_.path.empty() ? Status{} : made->sink_.Truncate(); !status.ok()) {
    made->Cancel(true);
    return status;
  }
  uint32_t state = kMade;
  // Release: publishes what Truncate did.
  made->state_.compare_exchange_strong(state, kStarting, std::memory_order_release, std::memory_order_relaxed);
  WakeAll(made->state_);
  *profile = made;
  return {};
}

Status Profile::Open() {
  const size_t columns = spec_.cells.size() + 1;
  for (const uint32_t cell : spec_.cells) {
    if (cell >= cells_.used()) return {Code::kInvalid, EINVAL};
  }
  if (Status status = ring_.Create(columns); !status.ok()) return status;
  buffer_bytes_ =
      std::max({kBufferBytes, columns * (kNumberBytesMax + 1), kCommentBytesMax + spec_.annotation.size() + spec_.header.size()});
  buffer_ = std::make_unique<char[]>(buffer_bytes_);
  Status status = spec_.path.empty() ? sink_.OpenDescriptor(spec_.descriptor) : sink_.OpenPath(spec_.path.c_str());
  if (!status.ok()) return status;
  const bool is_emptied = !spec_.path.empty();
  if (is_emptied && sink_.position().IsFile(spec_.lines)) {
    status = WrongFile("is where the lines of the metrics go");
  } else if (!ProfileOutputs::Take(sink_.position())) {
    status = WrongFile("is the output of another profile", EBUSY);
  }
  if (!status.ok()) sink_.Close();
  return status;
}

void Profile::Cancel(bool is_writing) {
  // Release: as ever. Both threads find that there is nothing.
  state_.store(kCollected, std::memory_order_release);
  WakeAll(state_);
  if (collector_.joinable()) collector_.join();
  if (!is_writing) return;
  std::unique_lock<std::mutex> written(written_mutex_);
  written_changed_.wait(written, [this] { return written_; });
}

void Profile::CloseOutput() {
  if (!sink_.is_open()) return;
  ProfileOutputs::GiveBack(sink_.position());
  sink_.Close();
}

// ---- sampling

void Profile::Collect() {
  pthread_setname_np(pthread_self(), "vmm-sampling");
  // By default a sleep may end 50 us late to save wakeups.
  prctl(PR_SET_TIMERSLACK, 1);
  // Acquire: pairs with the release in Start and Cancel.
  while (state_.load(std::memory_order_acquire) == kMade) SleepWhile(state_, kMade, MonotonicNs() + kWriteEveryNs);
  if (state_.load(std::memory_order_relaxed) == kCollected) return;
  sampling_thread_.store(static_cast<pid_t>(syscall(SYS_gettid)), std::memory_order_relaxed);
  NoteStart();
  uint32_t starting = kStarting;
  // Release: publishes what NoteStart noted. It may have been told to stop already.
  if (state_.compare_exchange_strong(starting, kSampling, std::memory_order_release, std::memory_order_relaxed)) WakeAll(state_);

  const uint64_t interval = spec_.interval_ns;
  uint64_t due = origin_ns_ + interval;
  for (uint64_t now = origin_ns_; !IsStopping(); now = MonotonicNs()) {
    if (now >= due) {
      const uint64_t passed = (now - due) / interval + 1;
      missed_ticks_ += passed;
      due += passed * interval;
    }
    now = WaitUntil(due);
    if (now < due) break;  // to stop
    uint64_t* const row = ring_.Next();
    if (row == nullptr) {
      back_offs_++;
      WaitUntil(now + kBackOffTicks * interval);
      continue;
    }
    lateness_.Record(TakeSample(row, now) - due);
    if (interval < kSleepFromNs && ring_.filled() % kRowsPerHint == 0)
      spinning_on_.store(sched_getcpu(), std::memory_order_relaxed);
    due += interval;
  }
  TakeSample(ring_.Last(), MonotonicNs());
  state_.store(kCollected, std::memory_order_release);
  WakeAll(state_);
}

void Profile::NoteStart() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  origin_ns_ = MonotonicNs();
  tm utc;
  gmtime_r(&now.tv_sec, &utc);
  const size_t bytes = strftime(started_at_, sizeof(started_at_), "%Y-%m-%dT%H:%M:%S", &utc);
  snprintf(started_at_ + bytes, sizeof(started_at_) - bytes, ".%09ldZ", now.tv_nsec);
}

uint64_t Profile::TakeSample(uint64_t* row, uint64_t now_ns) {
  const uint64_t limit_ns = kReadingNs + kReadingOneNs * spec_.cells.size();
  for (int again = kReadAgain;; again--) {
    uint64_t* field = row;
    *field++ = now_ns - origin_ns_;
    for (const uint32_t cell : spec_.cells) {
      const uint64_t total = cells_.Total(cell);
      *field++ = cells_.kind(cell) == CellKind::kMin ? MinimumOf(total, cells_.Total(cell + 1)) : total;
    }
    // The processor was taken away in between: the first values would be of another moment than the last ones.
    const uint64_t after_ns = MonotonicNs();
    if (after_ns - now_ns <= limit_ns || again == 0) break;
    now_ns = after_ns;
  }
  ring_.Publish();
  return now_ns;
}

uint64_t Profile::WaitUntil(uint64_t due_ns) {
  const uint64_t interval = spec_.interval_ns;
  // A back-off is longer than an interval, and is to leave the processor to the writing thread.
  const uint64_t spin_ns = interval >= kSleepOnlyNs ? 0 : interval >= kSleepFromNs ? kSpinLastNs : kSleepFromNs;
  for (;;) {
    const uint64_t now = MonotonicNs();
    if (now >= due_ns) return now;
    // Acquire: whoever asked for the stop set the deadline before.
    const uint32_t state = state_.load(std::memory_order_acquire);
    if (state >= kStopping) return now;
    if (due_ns - now > spin_ns) {
      SleepWhile(state_, state, due_ns - spin_ns);
    } else {
      Relax();
    }
  }
}

// ---- writing

void Profile::Write() {
  pthread_setname_np(pthread_self(), "vmm-samples-out");
  const uint64_t pause_ns = std::min(kWriteEveryNs, std::max<uint64_t>(spec_.interval_ns, 1000) * 1000);
  Status outcome;
  for (bool done = false; !done;) {
    AvoidSpinningCpu();
    // Before the rows are looked at: once all are collected, none comes after.
    const uint32_t state = state_.load(std::memory_order_acquire);
    const Progress progress = WriteSome(&outcome);
    if (progress == Progress::kFailed) {
      done = true;
    } else if (progress == Progress::kAllOut) {
      done = state == kCollected;
      if (!done) SleepWhile(state_, state, MonotonicNs() + pause_ns);
    } else if (has_given_up_.load(std::memory_order_relaxed)) {
      outcome = {Code::kWrite, progress == Progress::kBlocked ? EAGAIN : ETIMEDOUT, "write"};
      done = true;
    } else if (progress == Progress::kBlocked) {
      sink_.WaitWritable(kRetryMs);
    }
  }
  if (!outcome.ok()) RequestStop();  // there is no use in more samples
  // Acquire-release, as ever. Not while a crash handler is at it; then it ends with the process, or with the object.
  for (uint32_t phase : {kIdle, kTaken}) {
    if (phase_.compare_exchange_strong(phase, kClosed, std::memory_order_acq_rel)) CloseOutput();
  }
  const std::lock_guard<std::mutex> lock(written_mutex_);
  outcome_ = outcome;
  written_ = true;
  written_changed_.notify_all();
}

// Where there are fewer processors than threads that want one, the scheduler would let the two share one; and what the
// writing takes there are ticks missed, while for itself a little later is soon enough.
void Profile::AvoidSpinningCpu() {
  const int processor = spinning_on_.load(std::memory_order_relaxed);
  if (processor == avoided_cpu_ || processor < 0 || processor >= CPU_SETSIZE) return;
  // Of those that the sampling thread may run on, which is what somebody else wants for both.
  cpu_set_t others;
  if (sched_getaffinity(sampling_thread_.load(std::memory_order_relaxed), sizeof(others), &others) != 0) return;
  avoided_cpu_ = processor;
  CPU_CLR(static_cast<size_t>(processor), &others);
  if (CPU_COUNT(&others) == 0) CPU_SET(static_cast<size_t>(processor), &others);
  sched_setaffinity(0, sizeof(others), &others);
}

Profile::Progress Profile::WriteSome(Status* status) {
  uint32_t phase = kIdle;
  // Acquire-release: pairs with the release of whoever had the output before.
  if (YieldToCrashHandler() || !phase_.compare_exchange_strong(phase, kSending, std::memory_order_acq_rel)) {
    SleepUs(1'000);
    return Progress::kBlocked;
  }
  const Progress progress = SendSome(ring_.filled(), status);
  phase_.store(kIdle, std::memory_order_release);
  return progress;
}

// A dying process writes nothing after its last whole row.
bool Profile::YieldToCrashHandler() {
  int64_t crash_ms = crash_ms_.load(std::memory_order_relaxed);
  if (crash_ms == 0) return false;
  if (MonotonicMs() - crash_ms < kSurvivedMs) return true;
  uint32_t phase = kTaken;
  phase_.compare_exchange_strong(phase, kIdle, std::memory_order_acq_rel);
  // Unless another one has come meanwhile.
  crash_ms_.compare_exchange_strong(crash_ms, 0, std::memory_order_relaxed);
  return false;
}

Profile::Progress Profile::SendSome(uint64_t end_row, Status* status) {
  if (sent_bytes_ == formatted_bytes_ && !Format(end_row)) return Progress::kAllOut;
  sent_bytes_ += sink_.Write(buffer_.get() + sent_bytes_, formatted_bytes_ - sent_bytes_, status);
  if (status->ok()) return Progress::kSome;
  if (status->error == EAGAIN || status->error == EWOULDBLOCK) {
    *status = {};
    return Progress::kBlocked;
  }
  SignalMask::Discard(status->error);
  return Progress::kFailed;
}

bool Profile::Format(uint64_t end_row) {
  RawWriter out(buffer_.get(), buffer_bytes_);
  const uint32_t state = state_.load(std::memory_order_acquire);
  if (!has_opening_) {
    if (state != kSampling && end_row == 0) return false;  // not begun
    FormatOpening(out);
    has_opening_ = true;
  } else if (ring_.taken() != end_row) {
    const size_t row_bytes_max = ring_.columns() * (kNumberBytesMax + 1);
    for (; ring_.taken() != end_row && buffer_bytes_ - out.size() >= row_bytes_max; ring_.Take()) {
      const uint64_t* const row = ring_.Front();
      for (size_t column = 0; column < ring_.columns(); column++) {
        if (column != 0) out.Char('\t');
        out.Number(row[column]);
      }
      out.Char('\n');
    }
  } else if (state == kCollected && spec_.annotate && !has_closing_ && ring_.taken() == ring_.filled()) {
    FormatClosing(out);
    has_closing_ = true;
  }
  formatted_bytes_ = out.size();
  sent_bytes_ = 0;
  return formatted_bytes_ != 0;
}

namespace {

void Append(RawWriter& out, const char* text, uint64_t number) {
  out.Text(text, strlen(text));
  out.Number(number);
}

}  // namespace

void Profile::FormatOpening(RawWriter& out) const {
  if (sink_.needs_newline()) out.Char('\n');
  if (spec_.annotate) {
    out.Text("# start=", 8);
    out.Text(started_at_, strlen(started_at_));
    Append(out, " interval_ns=", spec_.interval_ns);
    out.Text(spec_.annotation.data(), spec_.annotation.size());
    out.Char('\n');
  }
  out.Text(spec_.header.data(), spec_.header.size());
}

void Profile::FormatClosing(RawWriter& out) const {
  const ProfileResult figures = Figures();
  Append(out, "# samples=", figures.samples);
  Append(out, " missed_ticks=", figures.missed_ticks);
  Append(out, " back_offs=", figures.back_offs);
  Append(out, " late_ns_median=", figures.late_ns_median);
  Append(out, " late_ns_p99=", figures.late_ns_p99);
  Append(out, " late_ns_max=", figures.late_ns_max);
  out.Char('\n');
}

ProfileResult Profile::Figures() const {
  ProfileResult figures;
  figures.samples = ring_.filled();
  figures.missed_ticks = missed_ticks_;
  figures.back_offs = back_offs_;
  figures.late_ns_median = lateness_.Quantile(1, 2);
  figures.late_ns_p99 = lateness_.Quantile(99, 100);
  figures.late_ns_max = lateness_.max();
  return figures;
}

// In a crash handler: no lock, no allocation; the phase is taken from the writing thread between two of its writes.
// Past the deadline it ends with the row that it is at, if the output takes that.
void Profile::LastSamples(int64_t deadline_ms) {
  // The writing thread, which would take the phase again at once, leaves it.
  crash_ms_.store(MonotonicMs(), std::memory_order_relaxed);
  for (;;) {
    uint32_t phase = phase_.load(std::memory_order_relaxed);
    if (phase == kTaken || phase == kClosed) return;
    // Acquire-release: as in WriteSome.
    if (phase == kIdle && phase_.compare_exchange_strong(phase, kSending, std::memory_order_acq_rel)) break;
    if (MonotonicMs() >= deadline_ms) return;
    SleepUs(50);
  }
  {
    SignalMask mask;
    const uint64_t end_row = ring_.filled();  // the sampling goes on meanwhile
    Status ignored;                           // there is nobody left to tell
    for (bool done = false; !done;) {
      switch (SendSome(end_row, &ignored)) {
        case Progress::kSome: done = sent_bytes_ == formatted_bytes_ && MonotonicMs() >= deadline_ms; break;
        case Progress::kAllOut:
        case Progress::kFailed: done = true; break;
        case Progress::kBlocked: {
          const int64_t left_ms = deadline_ms - MonotonicMs();
          done = left_ms <= 0;
          if (!done) sink_.WaitWritable(static_cast<int>(left_ms));
        }
      }
    }
  }
  crash_ms_.store(MonotonicMs(), std::memory_order_relaxed);
  phase_.store(kTaken, std::memory_order_release);
}

// ---- stopping

void Profile::RequestStop() {
  uint32_t state = state_.load(std::memory_order_relaxed);
  // Release: publishes when it was asked for.
  while (state < kStopping &&
         !state_.compare_exchange_weak(state, kStopping, std::memory_order_release, std::memory_order_relaxed)) {
  }
  WakeAll(state_);
}

bool Profile::Samples(uint32_t first, uint32_t count) const {
  for (const uint32_t cell : spec_.cells) {
    if (cell >= first && cell < first + count) return true;
  }
  return false;
}

void Profile::AskToStop() {
  if (!is_own()) return;
  int64_t never = 0;
  asked_ms_.compare_exchange_strong(never, MonotonicMs(), std::memory_order_relaxed);
  RequestStop();
}

ProfileResult Profile::Stop() {
  if (!is_own()) return {};  // its threads are the parent's
  AskToStop();
  const std::lock_guard<std::mutex> lock(stop_mutex_);
  if (stopped_) return result_;
  collector_.join();
  result_ = Figures();
  // Who asked several profiles to stop waits for all of them at once.
  const int64_t waited = (MonotonicMs() - asked_ms_.load(std::memory_order_relaxed)) / kStopStepMs;
  std::unique_lock<std::mutex> written(written_mutex_);
  for (int64_t steps = std::max<int64_t>(kStopSteps - waited, 1); steps > 0 && !written_; steps--) {
    if (steps <= kGivingUpSteps) has_given_up_.store(true, std::memory_order_relaxed);
    written_changed_.wait_for(written, std::chrono::milliseconds(kStopStepMs), [this] { return written_; });
  }
  result_.status = written_ ? outcome_ : Status{Code::kWrite, ETIMEDOUT, "write"};
  stopped_ = true;
  return result_;
}

void Profile::FreeRows() {
  const std::lock_guard<std::mutex> written(written_mutex_);
  if (!written_) return;  // a write that does not return still has them; they go with the object
  ring_.Free();
  buffer_.reset();
}

}  // namespace vmm

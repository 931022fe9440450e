#include "profile/profile.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "base/asynchronous_signals.h"
#include "base/clock.h"
#include "base/lock_within.h"
#include "base/raw_writer.h"

namespace vmm {

namespace {

constexpr int kRetryMs = 5;

void AppendText(RawWriter& out, const char* text) { out.Text(text, strlen(text)); }

void AppendFigure(RawWriter& out, const char* name, uint64_t figure) {
  AppendText(out, name);
  out.Number(figure);
}

// A time by the wall clock, in UTC with nanoseconds.
void AppendTime(RawWriter& out, int64_t realtime_ns) {
  constexpr int64_t kSecondNs = 1'000'000'000;
  const time_t seconds = static_cast<time_t>(realtime_ns / kSecondNs);
  tm utc;
  gmtime_r(&seconds, &utc);
  char text[40];
  const size_t bytes = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
  snprintf(text + bytes, sizeof(text) - bytes, ".%09ldZ", static_cast<long>(realtime_ns % kSecondNs));
  AppendText(out, text);
}

}  // namespace

Profile::Profile(const Cells& cells, const KvmSamples* kvm, ProfileSpec&& spec)
    : cells_(cells), spec_(std::move(spec)), sampler_(cells_, spec_.cells, spec_.interval_ns, ring_, kvm), output_(ring_) {}

Status Profile::Start(const Cells& cells, const KvmSamples* kvm, ProfileSpec&& spec, std::shared_ptr<Profile>* profile) {
  const auto made = std::make_shared<Profile>(cells, kvm, std::move(spec));
  if (Status status = made->Open(); !status.ok()) return status;
  try {
    const AsynchronousSignalsBlocked blocked;
    made->collector_ = std::thread([&self = *made] { self.Collect(); });
    std::thread([made] { made->Write(); }).detach();
  } catch (const std::system_error& error) {
    made->Cancel(false);
    return {Code::kThread, error.code().value(), "pthread_create"};
  }
  // The file is emptied last: when anything else fails, its content is still there.
  if (Status status = made->spec_.path.empty() ? Status{} : made->output_.Truncate(); !status.ok()) {
    made->Cancel(true);
    return status;
  }
  made->sampler_.Start();
  *profile = made;
  return {};
}

Status Profile::Open() {
  for (const uint32_t cell : spec_.cells) {
    if (cell >= cells_.used()) return {Code::kInvalid, EINVAL};
  }
  if (Status status = ring_.Create(spec_.cells.size() + 1); !status.ok()) return status;
  opening_ = std::make_unique<char[]>(opening_bytes_max());
  return output_.Open(spec_.path.c_str(), spec_.descriptor, spec_.lines);
}

void Profile::Cancel(bool has_writing_thread) {
  sampler_.Cancel();
  if (collector_.joinable()) collector_.join();
  if (!has_writing_thread) return;
  std::unique_lock<std::mutex> written(written_mutex_);
  written_changed_.wait(written, [this] { return written_; });
}

void Profile::Collect() {
  pthread_setname_np(pthread_self(), "vmm-sampling");
  // By default the kernel ends a sleep up to 50 us late to save wakeups.
  prctl(PR_SET_TIMERSLACK, 1);
  if (!sampler_.AwaitStart()) return;
  output_.Begin(opening_.get(), FormatOpening());
  sampler_.Run();
  if (spec_.annotate) output_.End(closing_, FormatClosing());
  sampler_.Finish();
}

size_t Profile::FormatOpening() {
  RawWriter out(opening_.get(), opening_bytes_max());
  out.Char('\n');  // left out unless the output needs it
  if (spec_.annotate) {
    AppendText(out, "# start=");
    AppendTime(out, sampler_.start_realtime_ns());
    AppendFigure(out, " interval_ns=", spec_.interval_ns);
    out.Text(spec_.annotation.data(), spec_.annotation.size());
    out.Char('\n');
  }
  out.Text(spec_.header.data(), spec_.header.size());
  return out.size();
}

size_t Profile::FormatClosing() {
  RawWriter out(closing_, sizeof(closing_));
  const SampleFigures figures = sampler_.Figures();
  AppendFigure(out, "# samples=", figures.samples);
  AppendFigure(out, " missed_ticks=", figures.missed_ticks);
  AppendFigure(out, " back_offs=", figures.back_offs);
  AppendFigure(out, " late_ns_median=", figures.late_ns_median);
  AppendFigure(out, " late_ns_p99=", figures.late_ns_p99);
  AppendFigure(out, " late_ns_max=", figures.late_ns_max);
  out.Char('\n');
  return out.size();
}

void Profile::Write() {
  pthread_setname_np(pthread_self(), "vmm-samples-out");
  const Status outcome = WriteUntilCollected();
  if (!outcome.ok()) sampler_.RequestStop();  // more samples would be of no use
  output_.Close();
  const std::lock_guard<std::mutex> lock(written_mutex_);
  outcome_ = outcome;
  written_ = true;
  written_changed_.notify_all();
}

Status Profile::WriteUntilCollected() {
  using Progress = ProfileOutput::Progress;
  const uint64_t pause_ns = std::min(kWriteEveryNs, std::max<uint64_t>(spec_.interval_ns, 1000) * 1000);
  for (;;) {
    sampler_.AvoidSpinningCpu();
    // Read the state before WriteSome reads the rows: once the state is kCollected, no further rows come.
    const Sampler::State state = sampler_.state();
    Status status;
    const Progress progress = output_.WriteSome(&status);
    if (progress == Progress::kFailed) return status;
    if (progress == Progress::kAllOut) {
      if (state == Sampler::kCollected) return {};
      sampler_.SleepWhile(state, MonotonicNs() + pause_ns);
    } else if (has_given_up_.load(std::memory_order_relaxed)) {
      return {Code::kWrite, progress == Progress::kBlocked ? EAGAIN : ETIMEDOUT, "write"};
    } else if (progress == Progress::kBlocked) {
      output_.WaitWritable(kRetryMs);
    }
  }
}

bool Profile::Samples(uint32_t first, uint32_t count) const {
  return std::any_of(spec_.cells.begin(), spec_.cells.end(),
                     [&](uint32_t cell) { return cell >= first && cell < first + count; });
}

void Profile::AskToStop() {
  if (!is_own()) return;
  int64_t never = 0;
  asked_ms_.compare_exchange_strong(never, MonotonicMs(), std::memory_order_relaxed);
  sampler_.RequestStop();
}

ProfileResult Profile::Stop() {
  if (!is_own()) return {};  // its threads are the parent's
  AskToStop();
  const std::lock_guard<std::mutex> lock(stop_mutex_);
  return StopLocked();
}

void Profile::StopAtExit(int patience_ms) {
  if (!is_own()) return;
  AskToStop();
  std::unique_lock<std::mutex> lock(stop_mutex_, std::defer_lock);
  if (LockWithin(lock, patience_ms)) StopLocked();
}

ProfileResult Profile::StopLocked() {
  if (stopped_) return result_;
  collector_.join();
  static_cast<SampleFigures&>(result_) = sampler_.Figures();
  // The wait began when the stop was asked for: a caller that asks several profiles first waits for all of them at the
  // same time.
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
  if (!written_) return;  // a write that does not return still uses them; they go with the object
  ring_.Free();
  output_.FreeBuffer();
}

}  // namespace vmm

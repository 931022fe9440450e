#include "profile/profile_output.h"

#include <errno.h>

#include <initializer_list>
#include <new>

#include "base/clock.h"
#include "base/raw_writer.h"
#include "base/signal_mask.h"
#include "base/survival.h"
#include "profile/profile_outputs.h"

namespace vmm {

namespace {

constexpr size_t kBufferBytes = 64 * 1024;

size_t RowBytesMax(size_t columns) { return columns * (kNumberBytesMax + 1); }

}  // namespace

ProfileOutput::~ProfileOutput() {
  CloseSink();  // still open when a crash handler had it, and the process lives on
  FreeBuffer();
}

Status ProfileOutput::Open(const char* path, int descriptor, const Sink::Position& lines) {
  const size_t row_bytes = RowBytesMax(ring_.columns());
  buffer_bytes_ = row_bytes > kBufferBytes ? row_bytes : kBufferBytes;
  buffer_ = new (std::nothrow) char[buffer_bytes_];
  if (buffer_ == nullptr) return {Code::kMemory, ENOMEM, "malloc"};
  const bool has_path = path[0] != '\0';
  Status status = has_path ? sink_.OpenPath(path) : sink_.OpenDescriptor(descriptor);
  if (!status.ok()) return status;
  // Only a path is emptied, so only a path can destroy the lines.
  if (has_path && sink_.position().IsFile(lines)) {
    status = WrongFile("is where the lines of the metrics go");
  } else if (!ProfileOutputs::Take(sink_.position())) {
    status = WrongFile("is the output of another profile", EBUSY);
  }
  if (!status.ok()) sink_.Close();
  return status;
}

void ProfileOutput::Begin(const char* text, size_t bytes) {
  opening_bytes_ = bytes;
  opening_.store(text, std::memory_order_release);  // pairs with the acquire in NextPiece
}

void ProfileOutput::End(const char* text, size_t bytes) {
  closing_bytes_ = bytes;
  closing_.store(text, std::memory_order_release);  // pairs with the acquire in NextPiece
}

ProfileOutput::Progress ProfileOutput::WriteSome(Status* status) {
  uint32_t phase = kIdle;
  // Acquire-release: pairs with the release of whoever owned the output before.
  if (YieldToCrashHandler() || !phase_.compare_exchange_strong(phase, kSending, std::memory_order_acq_rel)) {
    SleepUs(1'000);
    return Progress::kBlocked;
  }
  const Progress progress = SendSome(ring_.filled(), status);
  phase_.store(kIdle, std::memory_order_release);
  return progress;
}

bool ProfileOutput::YieldToCrashHandler() {
  int64_t crash_ms = crash_ms_.load(std::memory_order_relaxed);
  if (crash_ms == 0) return false;
  if (MonotonicMs() - crash_ms < kSurvivedMs) return true;
  uint32_t phase = kLastSent;
  // Acquire: pairs with the release store in SendLast, so the next load sees the time that SendLast stored before it.
  if (phase_.compare_exchange_strong(phase, kIdle, std::memory_order_acq_rel) &&
      crash_ms_.load(std::memory_order_relaxed) != crash_ms) {
    // A handler has written the last rows only now, since its time limit is long. The process may be about to die.
    phase = kIdle;
    phase_.compare_exchange_strong(phase, kLastSent, std::memory_order_acq_rel);  // as in SendLast; publishes nothing new
    return true;
  }
  // This fails when another crash handler has asked for the output meanwhile.
  crash_ms_.compare_exchange_strong(crash_ms, 0, std::memory_order_relaxed);
  return false;
}

ProfileOutput::Progress ProfileOutput::SendSome(uint64_t end_row, Status* status) {
  if (unsent_bytes_ == 0 && !NextPiece(end_row)) return Progress::kAllOut;
  Sent(sink_.Write(unsent_, unsent_bytes_, status));
  if (status->ok()) return Progress::kSome;
  if (Sink::MayTakeLater(*status)) {
    *status = {};
    return Progress::kBlocked;
  }
  SignalMask::Discard(status->error);
  return Progress::kFailed;
}

void ProfileOutput::Sent(size_t bytes) {
  unsent_ += bytes;
  unsent_bytes_ -= bytes;
}

bool ProfileOutput::NextPiece(uint64_t end_row) {
  if (!has_opening_) {
    const char* const opening = opening_.load(std::memory_order_acquire);
    if (opening == nullptr) return false;
    const size_t skipped = sink_.needs_newline() ? 0 : 1;
    unsent_ = opening + skipped;
    unsent_bytes_ = opening_bytes_ - skipped;
    has_opening_ = true;
  } else if (ring_.taken() != end_row) {
    FormatRows(end_row);
  } else if (!has_closing_) {
    const char* const closing = closing_.load(std::memory_order_acquire);
    // Rows may have been published since the caller looked, but no row is published after the closing text.
    if (closing == nullptr || ring_.taken() != ring_.filled()) return false;
    unsent_ = closing;
    unsent_bytes_ = closing_bytes_;
    has_closing_ = true;
  }
  return unsent_bytes_ != 0;
}

void ProfileOutput::FormatRows(uint64_t end_row) {
  RawWriter out(buffer_, buffer_bytes_);
  const size_t columns = ring_.columns();
  for (; ring_.taken() != end_row && buffer_bytes_ - out.size() >= RowBytesMax(columns); ring_.Take()) {
    const uint64_t* const row = ring_.Front();
    for (size_t column = 0; column < columns; column++) {
      if (column != 0) out.Char('\t');
      out.Number(row[column]);
    }
    out.Char('\n');
  }
  unsent_ = buffer_;
  unsent_bytes_ = out.size();
}

// Takes no lock and allocates nothing. It takes the phase from the writing thread between two of its pieces.
void ProfileOutput::SendLast(int64_t deadline_ms) {
  // From now on the writing thread leaves the phase alone. Otherwise it would take the phase again at once.
  crash_ms_.store(MonotonicMs(), std::memory_order_relaxed);
  if (!TakePhase(deadline_ms)) return;
  {
    const SignalMask mask;
    const uint64_t end_row = ring_.filled();  // the sampling goes on meanwhile
    Status status;                            // nobody is left to report a failure to
    for (bool is_over = false; !is_over && status.ok() && (unsent_bytes_ != 0 || NextPiece(end_row));) {
      Sent(sink_.WriteBy(unsent_, unsent_bytes_, deadline_ms, &status));
      is_over = MonotonicMs() >= deadline_ms;
    }
  }
  crash_ms_.store(MonotonicMs(), std::memory_order_relaxed);
  phase_.store(kLastSent, std::memory_order_release);
}

bool ProfileOutput::TakePhase(int64_t deadline_ms) {
  for (;;) {
    uint32_t phase = phase_.load(std::memory_order_relaxed);
    if (phase == kLastSent || phase == kClosed) return false;
    // Acquire-release: as in WriteSome.
    if (phase == kIdle && phase_.compare_exchange_strong(phase, kSending, std::memory_order_acq_rel)) return true;
    if (MonotonicMs() >= deadline_ms) return false;
    SleepUs(50);
  }
}

void ProfileOutput::Close() {
  // Acquire-release: as in WriteSome.
  for (uint32_t phase : {kIdle, kLastSent}) {
    if (phase_.compare_exchange_strong(phase, kClosed, std::memory_order_acq_rel)) CloseSink();
  }
}

void ProfileOutput::CloseSink() {
  if (!sink_.is_open()) return;
  ProfileOutputs::GiveBack(sink_.position());
  sink_.Close();
}

void ProfileOutput::FreeBuffer() {
  delete[] buffer_;
  buffer_ = nullptr;
}

}  // namespace vmm

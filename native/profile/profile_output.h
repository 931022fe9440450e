// A ProfileOutput takes a profile's rows from the ring and writes them, as text, to a file, a pipe or a descriptor.
//
//   idle ──► sending ──► idle ──► closed
//              │
//              └──► taken (the process is dying) ──► idle (the process has survived)
//
// Whoever moves the phase from idle to sending owns the sink, the unsent text and the taking side of the ring until the
// phase moves on: the writing thread for one piece of text, a crash handler for the rest. A crash handler leaves the
// phase at taken, so nothing follows the last whole row of a dying process.
//
// Thread-safety:       Open and FreeBuffer are called while no other thread uses the object, and Truncate before Begin,
//                      when no other thread uses the sink yet. Begin and End belong to the sampling thread; WriteSome,
//                      WaitWritable and Close to the writing thread.
// Async-signal-safety: SendLast and is_own are safe, on any thread at any time; the others are not.
// Memory ordering:     leaving the phase sending is a release, and entering it acquires: it publishes the sink, the
//                      unsent text and what was taken from the ring. Begin and End publish their texts with release.
// Lifetime:            the ring, and the texts given to Begin and End, outlive the object.
// Units:               milliseconds on CLOCK_MONOTONIC.

#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/fork.h"
#include "base/status.h"
#include "flush/sink.h"
#include "profile/sample_ring.h"

namespace vmm {

class ProfileOutput {
 public:
  // What WriteSome did. kSome: wrote something. kAllOut: there was nothing to write. kBlocked: the sink is full, or a
  // crash handler uses it. kFailed: the sink failed for good.
  enum class Progress { kSome, kAllOut, kBlocked, kFailed };

  explicit ProfileOutput(SampleRing& ring) : ring_(ring) {}
  ~ProfileOutput();
  ProfileOutput(const ProfileOutput&) = delete;
  ProfileOutput& operator=(const ProfileOutput&) = delete;

  // Opens `path`, or duplicates `descriptor` when `path` is empty. Call it after the ring was created. kWrongFile:
  // another profile writes there, or `path` is where the lines go.
  Status Open(const char* path, int descriptor, const Sink::Position& lines);
  // Empties the file.
  Status Truncate() { return sink_.Truncate(); }

  // The text before the first row; nothing goes out before Begin. It starts with a newline, which is left out unless
  // the sink needs one.
  void Begin(const char* text, size_t bytes);
  // The text after the last row. No row is published after End.
  void End(const char* text, size_t bytes);

  // Writes one piece of text: what is left of the last piece, or the opening, or as many rows as fit the buffer, or the
  // closing. kFailed: `*status` says why.
  Progress WriteSome(Status* status);
  void WaitWritable(int timeout_ms) const { sink_.WaitWritable(timeout_ms); }
  // Closes the sink for good. While a crash handler writes, it does nothing: the destructor closes the sink then.
  void Close();

  // For the crash handler of a dying process: writes every row that is in the ring now. Waits for the output and its
  // reader until `deadline_ms` at most. At the deadline it completes the piece of text that it is writing, if the sink
  // takes that piece without waiting.
  void SendLast(int64_t deadline_ms);

  // Frees what only a running profile needs. Call it after Close, once no crash handler uses the object any more.
  void FreeBuffer();

  // Whether this process itself opened the output; false in a forked child of the process that did.
  bool is_own() const { return ForkGeneration::IsOwn(process_); }

 private:
  // Who may use the sink. The writing thread and a crash handler both send in kSending, and take it from kIdle only.
  // The phases of a LineSender are others: there, a handler also takes over a line that is being built.
  enum Phase : uint32_t {
    kIdle,      // nobody
    kSending,   // who has set it: the writing thread, or a crash handler
    kLastSent,  // nobody: a crash handler has sent the last rows. If the process survives, the writing thread goes on
    kClosed,    // nobody, for good
  };

  // For the owner of the phase sending. Rows from `end_row` on stay in the ring.
  Progress SendSome(uint64_t end_row, Status* status);
  // Puts the next piece of text into `unsent_`. False: there is none.
  bool NextPiece(uint64_t end_row);
  void FormatRows(uint64_t end_row);
  void Sent(size_t bytes);
  // Whether a crash handler uses the output or waits for it. When the process has survived that crash: takes the output
  // back, and returns false.
  bool YieldToCrashHandler();
  bool TakePhase(int64_t deadline_ms);
  void CloseSink();

  SampleRing& ring_;
  const uint32_t process_ = ForkGeneration::Own();
  Sink sink_;
  char* buffer_ = nullptr;
  size_t buffer_bytes_ = 0;
  const char* unsent_ = nullptr;  // in the buffer, or in a text of Begin or End
  size_t unsent_bytes_ = 0;
  bool has_opening_ = false;
  bool has_closing_ = false;

  std::atomic<uint32_t> phase_{kIdle};
  // The time when a crash handler asked for the output, and later the time when it was done; 0 if no handler has asked.
  // Relaxed: the phase publishes what the handler did.
  std::atomic<int64_t> crash_ms_{0};
  // Null until Begin and End. Release: publishes the byte count below the pointer.
  std::atomic<const char*> opening_{nullptr};
  size_t opening_bytes_ = 0;
  std::atomic<const char*> closing_{nullptr};
  size_t closing_bytes_ = 0;
};

}  // namespace vmm

// A Flusher runs the program into a line, hands the line whole to the sink, and only then commits it.
//
//   idle ──► building ──► sending ──► idle
//               │
//               └──► taken: a crash handler dropped the line that was being built
//
// A line that a pipe took only in part is held; its tail goes first at the next flush, and then it is committed.
//
// Thread-safety:       any thread; flushes wait for one another.
// Async-signal-safety: LastLine only. It takes no lock: it takes the phase from whoever has it, or waits, bounded, for a line
// that
//                      is being sent.
// Lifetime:            the cells, the program and the devices outlive it.

#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "line.h"
#include "program.h"
#include "sink.h"

namespace vmm {

enum class InitResult { kDone, kAlready, kFailed };
enum class FlushResult { kNotInitialized, kOut, kFailed };

class Flusher {
 public:
  static constexpr uint32_t kNoCell = ~0u;

  // `missed_cell` is raised by each flush whose whole line did not get out; kNoCell for none.
  Flusher(Cells& cells, const ProgramView& program, const DeviceList* devices, uint32_t missed_cell);
  ~Flusher();
  Flusher(const Flusher&) = delete;
  Flusher& operator=(const Flusher&) = delete;

  // Sets the sink, once; after a failure again. `path` null: `descriptor`.
  InitResult Init(const char* path, int descriptor, Status* status);

  // Makes room for lines of up to `line_bytes`. Under the store's lock.
  Status Fit(uint64_t line_bytes);

  // One line. kFailed: `*status` says why, nothing is lost, and the next line carries it.
  FlushResult Flush(Status* status);

  // Whether a line would say more than the last one did.
  bool HasNews() const;

  // The last line of a dying process, from its crash handler: at most `limit_ms`, then the line is given up. True when it is out.
  bool LastLine(int limit_ms);

 private:
  enum Phase : uint32_t { kIdle, kBuilding, kSending, kTaken };

  // Sends and commits what is left of `line_`, with every signal blocked. `from` is the phase to leave; false when a crash
  // handler took it.
  bool Send(Phase from, Status* status);
  FlushResult FlushLocked(Status* status);
  bool SendWithin(Line& line, int64_t deadline_ms);

  Cells& cells_;
  const ProgramView& program_;
  const DeviceList* const devices_;
  const uint32_t missed_cell_;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  // Release on leaving kSending: publishes the line and the sink to a crash handler on another thread, which acquires.
  std::atomic<uint32_t> phase_{kIdle};
  std::atomic<bool> initialized_{false};
  Sink sink_;
  Line line_;
  bool held_ = false;  // the line has a tail that the sink has not taken yet
  Line last_line_;
};

}  // namespace vmm

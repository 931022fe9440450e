// A Line is one line on its way out: built whole in a buffer of its own, then sent, then committed.
//
// Thread-safety:       one thread at a time.
// Async-signal-safety: all but Fit are safe.
// Lifetime:            a buffer that has become too small is kept until the store ends, since a crash handler may still
//                      read it.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "flush/device_list.h"
#include "flush/line_template.h"
#include "flush/sink.h"

namespace vmm {

class Line {
 public:
  Line() = default;
  ~Line();
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  // Makes room for lines of up to `line_bytes`, and for `aggregates` running values. Any thread, under the store's
  // lock.
  Status Fit(uint64_t line_bytes, uint32_t aggregates);

  // Reads every cell once into bank `bank` and writes the line. False when it does not fit, which is a bug.
  bool Build(const LineTemplate& line_template, const Cells& cells, const DeviceLists& devices, uint32_t bank);

  // Starts the sending, with a newline before the line where the sink needs one, or the caller knows of half a line
  // there, and says in the header that it is on its way. No other line is.
  void Begin(Region& region, const Sink& sink, bool follows_half = false);
  void Sent(Region& region, size_t bytes);
  // No line is on its way any more: it is committed; or it does not go on, and nothing of it, or only a head that
  // counts for nothing, is out.
  static void GiveUp(Region& region);
  // Says that the line is out: its bank is now what was last flushed. Release: publishes the bank's values to readers
  // of what is pending.
  void Commit(Region& region);

  // What of it, when it was interrupted in its sending, is out by now; false: nobody can tell.
  bool SettleInterrupted(Region& region, Sink& sink);

  const char* unsent() const { return text_ + sent_; }
  size_t unsent_bytes() const { return end_ - sent_; }
  bool is_partly_sent() const { return sent_ > begin_ && sent_ < end_; }

 private:
  uint64_t NextCommit(const Region& region) const;

  struct Buffer {
    Buffer* older;
    uint64_t mapped_bytes;
    uint64_t head_bytes;  // this struct and the running values of aggregates; the text follows
    uint64_t text_bytes;
    uint64_t* aggregate() { return reinterpret_cast<uint64_t*>(this + 1); }
    char* text() { return reinterpret_cast<char*>(this) + head_bytes; }
  };

  // Release on store, acquire on load: publishes the buffer's own fields.
  std::atomic<Buffer*> buffer_{nullptr};
  char* text_ = nullptr;  // the line after one byte that is a newline
  size_t begin_ = 0;
  size_t sent_ = 0;
  size_t end_ = 0;
  uint32_t bank_ = 0;
};

}  // namespace vmm

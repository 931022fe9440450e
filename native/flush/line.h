// A Line is one line on its way out: it is built whole in a buffer of its own, then sent, then committed.
//
// Thread-safety:       one thread at a time; any thread may call Fit, under the store's lock.
// Async-signal-safety: all but Fit and the destructor are safe.
// Memory ordering:     `buffer_` is stored with release and loaded with acquire: it publishes the fields of the buffer.
// Lifetime:            a buffer that has become too small is kept until the store ends, because a crash handler may
//                      still use it.

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

  // Makes room for lines of up to `line_bytes`, and for `aggregates` running values.
  Status Fit(uint64_t line_bytes, uint32_t aggregates);

  // Reads every cell once into bank `bank` and writes the line. False when it does not fit, which is a bug.
  bool Build(const LineTemplate& line_template, const Cells& cells, const ShardSelection& shards, const DeviceLists& devices,
             uint32_t bank);

  // Starts the sending, and notes in the region's header that this line is on its way. A newline goes first if the sink
  // needs one. `follows_half` says that the sink ends in half a line, so a newline goes first then too. Call it while
  // no other line is on its way.
  void Begin(Region& region, const Sink& sink, bool follows_half = false);
  // The sink took `bytes` more.
  void Sent(Region& region, size_t bytes);
  // Notes in the header that no line is on its way, since the line is committed, or its rest will never be sent. In the
  // second case, the part that is out counts for nothing.
  static void GiveUp(Region& region);
  // The line is out: its bank now holds the values as last flushed. Release: publishes these values to readers of
  // pending deltas.
  void Commit(Region& region);

  // After a fault in the middle of Sink::Write: finds out how much of the line is out, and commits the line if it is
  // out as a whole. False: nobody can tell.
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

  std::atomic<Buffer*> buffer_{nullptr};
  char* text_ = nullptr;  // a newline and then the line; begin_ is 0 or 1, with or without that newline
  size_t begin_ = 0;
  size_t sent_ = 0;
  size_t end_ = 0;
  uint32_t bank_ = 0;
};

}  // namespace vmm

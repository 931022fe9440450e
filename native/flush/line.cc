#include "flush/line.h"

#include <errno.h>
#include <sys/mman.h>

#include <new>

#include "flush/line_writer.h"

namespace vmm {

Line::~Line() {
  Buffer* buffer = buffer_.load(std::memory_order_relaxed);  // no other thread is left
  while (buffer != nullptr) {
    Buffer* older = buffer->older;
    munmap(buffer, buffer->mapped_bytes);
    buffer = older;
  }
}

Status Line::Fit(uint64_t line_bytes, uint32_t aggregates) {
  Buffer* current = buffer_.load(std::memory_order_relaxed);  // written under the store's lock only
  if (current != nullptr && current->text_bytes >= line_bytes) return {};
  // Twice what is needed now, so that all older buffers together are smaller than the newest one.
  const uint64_t text_bytes = 2 * line_bytes;
  const uint64_t head_bytes = sizeof(Buffer) + aggregates * sizeof(uint64_t);
  const uint64_t mapped_bytes = head_bytes + text_bytes;
  // Populated now: in a crash handler there may be no memory left.
  void* memory = mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) return {Code::kMemory, errno, "mmap"};
  Buffer* buffer = new (memory) Buffer{current, mapped_bytes, head_bytes, text_bytes};
  buffer_.store(buffer, std::memory_order_release);  // pairs with the acquire in Build
  return {};
}

bool Line::Build(const LineTemplate& line_template, const Cells& cells, const ShardSelection& shards, const DeviceLists& devices,
                 uint32_t bank) {
  // Read this before the buffer: a device is counted here only after there is room for it. Acquire: pairs with the
  // release in Devices::Add.
  const uint64_t made = devices.made.load(std::memory_order_acquire);
  Buffer* buffer = buffer_.load(std::memory_order_acquire);
  bank_ = bank;
  text_ = buffer->text();
  text_[0] = '\n';
  RawWriter out(text_ + 1, buffer->text_bytes - 1);
  const Collection collection(cells, shards, bank, cells.region().committed_bank());
  LineWriter(line_template, collection, devices, made, buffer->aggregate(), out).Write();
  // Every entry starts with a comma. The brace replaces the first comma.
  if (out.size() == 0) out.Char('{');
  text_[1] = '{';
  out.Text("}\n", 2);
  begin_ = sent_ = 1;
  end_ = 1 + out.size();
  return !out.overflowed();
}

void Line::Begin(Region& region, const Sink& sink, bool follows_half) {
  begin_ = sent_ = sink.needs_newline() || follows_half ? 0 : 1;
  LineInFlight& flight = region.header().line;
  // The record says that no line is on its way. Release: that is visible before any field of this line is written.
  std::atomic_thread_fence(std::memory_order_release);
  const Sink::Position position = sink.position();
  flight.device = position.device;
  flight.inode = position.inode;
  flight.offset = position.end;
  flight.is_regular_file = position.is_regular_file ? 1 : 0;
  flight.bytes = end_ - begin_;
  flight.sent.store(0, std::memory_order_relaxed);  // published by the next line
  flight.commit.store(NextCommit(region), std::memory_order_release);
}

void Line::Sent(Region& region, size_t bytes) {
  sent_ += bytes;
  // Relaxed: it publishes nothing.
  region.header().line.sent.store(sent_ - begin_, std::memory_order_relaxed);
}

bool Line::SettleInterrupted(Region& region, Sink& sink) {
  size_t out = 0;
  const bool is_known = sink.SettleInterrupted(unsent(), unsent_bytes(), &out);
  Sent(region, out);
  if (is_known && unsent_bytes() == 0) Commit(region);
  return is_known;
}

void Line::GiveUp(Region& region) {
  // Relaxed: readers now ignore the other fields, and the fence in Begin comes before those are written again.
  region.header().line.commit.store(0, std::memory_order_relaxed);
}

void Line::Commit(Region& region) { region.SetCommit(NextCommit(region)); }

uint64_t Line::NextCommit(const Region& region) const { return CommitOf(LinesOf(region.commit()) + 1, bank_); }

}  // namespace vmm

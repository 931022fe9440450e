#include "flush/sink_turn.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/signal_mask.h"
#include "base/this_thread.h"
#include "flush/line_finishers.h"

namespace vmm {

struct TurnPlace {
  // 0: the turn is free. Otherwise the number of the store that has it, and whether a thread is writing now.
  std::atomic<uint64_t> state{0};
  // The ThreadHandle of the thread that is writing; 0: there is none. Set right after `state`, and cleared right
  // before. Relaxed: a thread looks only for itself.
  std::atomic<uintptr_t> writer{0};
  // Written under g_is_joining. Relaxed: it publishes nothing; 0 means that the keys below are unused.
  std::atomic<uint32_t> users{0};
  // Whether the place ends in half a line that no store will finish. Written with the turn; `state` publishes it.
  std::atomic<bool> is_torn{false};
  // The keys: what the place is. Written and read under g_is_joining.
  uint64_t device = 0;
  uint64_t inode = 0;
};

namespace {

// Whether it is /dev/null, /dev/full or /dev/kmsg: their major number is 1. major(3) is a function in some C libraries.
constexpr bool IsMemoryDevice(dev_t device) { return device >> 8 == 1; }
constexpr uint64_t kWriting = 1;
constexpr int kPauseUs = 50;
constexpr int kJoinMs = 100;

// The places that stores write to now. A store that finds no free place takes no turns.
constexpr int kPlaces = 128;
TurnPlace g_places[kPlaces];
// A lock for the keys of the places. No thread waits for it longer than kJoinMs: a handler may have interrupted the
// thread that has it.
std::atomic<bool> g_is_joining{false};

// Runs in the child right after a fork, where no other thread exists: stores and locks are those of the parent.
void FreeAllInChild() {
  for (TurnPlace& place : g_places) {
    place.state.store(0, std::memory_order_relaxed);
    place.writer.store(0, std::memory_order_relaxed);
    place.is_torn.store(false, std::memory_order_relaxed);
  }
  g_is_joining.store(false, std::memory_order_relaxed);
}

uint32_t NumberOf(uint64_t state) { return static_cast<uint32_t>(state >> 1); }

bool LockPlaces() {
  for (int waited_us = 0; waited_us < kJoinMs * 1000; waited_us += kPauseUs) {
    // Acquire: pairs with the release in UnlockPlaces.
    if (!g_is_joining.exchange(true, std::memory_order_acquire)) return true;
    SleepUs(kPauseUs);
  }
  return false;
}

void UnlockPlaces() { g_is_joining.store(false, std::memory_order_release); }

// Adds a user to the place with these keys, and makes that place if there is none. Null: no place is free.
TurnPlace* Enter(uint64_t device, uint64_t inode) {
  TurnPlace* unused = nullptr;
  for (TurnPlace& place : g_places) {
    const uint32_t users = place.users.load(std::memory_order_relaxed);  // under the lock
    if (users == 0) {
      if (unused == nullptr) unused = &place;
    } else if (place.device == device && place.inode == inode) {
      place.users.store(users + 1, std::memory_order_relaxed);
      return &place;
    }
  }
  if (unused == nullptr) return nullptr;
  unused->device = device;
  unused->inode = inode;
  // Relaxed, all: no other thread uses the place yet, and the lock publishes it.
  unused->state.store(0, std::memory_order_relaxed);
  unused->writer.store(0, std::memory_order_relaxed);
  unused->is_torn.store(false, std::memory_order_relaxed);
  unused->users.store(1, std::memory_order_relaxed);
  return unused;
}

}  // namespace

void SinkTurn::Register(FinishLine finish, void* store) {
  static const int registered = pthread_atfork(nullptr, nullptr, FreeAllInChild);
  static_cast<void>(registered);
  number_ = LineFinishers::Add(finish, store);
}

void SinkTurn::Unregister() {
  if (number_ == 0) return;
  LineFinishers::Remove(number_);
  number_ = 0;
}

void SinkTurn::Join(const struct stat& info) {
  Leave();
  if (number_ == 0 || (S_ISCHR(info.st_mode) && IsMemoryDevice(info.st_rdev))) return;
  // A device is known by its own number, whatever file names it. No file system has the number ~0.
  const bool is_device = S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode);
  const uint64_t device = is_device ? ~uint64_t{0} : info.st_dev;
  const uint64_t inode = is_device ? info.st_rdev : info.st_ino;
  const SignalMask mask;  // a handler on this thread could not get the lock
  if (!LockPlaces()) return;
  place_.store(Enter(device, inode), std::memory_order_relaxed);
  UnlockPlaces();
}

void SinkTurn::Leave(bool is_gone) {
  TurnPlace* const place = place_.load(std::memory_order_relaxed);
  if (place == nullptr) return;
  place_.store(nullptr, std::memory_order_relaxed);
  if (NumberOf(place->state.load(std::memory_order_relaxed)) == number_) {  // then only this SinkTurn changes it
    if (!is_gone) place->is_torn.store(true, std::memory_order_relaxed);
    place->writer.store(0, std::memory_order_relaxed);
    place->state.store(0, std::memory_order_release);  // pairs with the acquire in Take
  }
  const SignalMask mask;
  if (!LockPlaces()) return;                             // the place is never used again
  place->users.fetch_sub(1, std::memory_order_relaxed);  // under the lock
  UnlockPlaces();
}

void SinkTurn::Drop() {
  TurnPlace* const place = place_.load(std::memory_order_relaxed);
  if (place == nullptr || NumberOf(place->state.load(std::memory_order_relaxed)) != number_) return;
  place->writer.store(0, std::memory_order_relaxed);
  place->state.store(0, std::memory_order_release);  // pairs with the acquire in Take
}

bool SinkTurn::Take() {
  TurnPlace* const place = place_.load(std::memory_order_relaxed);
  if (place == nullptr) return true;
  const uint64_t mine = static_cast<uint64_t>(number_) << 1 | kWriting;
  uint64_t now = place->state.load(std::memory_order_relaxed);  // the exchange below acquires
  for (int waited_us = 0;;) {
    const bool is_mine = NumberOf(now) == number_;
    // True if this thread is in the handler of a signal that interrupted that write. The write goes on only when the
    // handler returns.
    const bool is_interrupted =
        !is_mine && (now & kWriting) != 0 && place->writer.load(std::memory_order_relaxed) == ThreadHandle();
    if (now == 0 || is_mine || is_interrupted) {
      // Acquire: pairs with the release of the store that had the turn before.
      if (!place->state.compare_exchange_weak(now, mine, std::memory_order_acquire, std::memory_order_relaxed)) continue;
      place->writer.store(ThreadHandle(), std::memory_order_relaxed);
      if (is_interrupted) place->is_torn.store(true, std::memory_order_relaxed);  // nobody knows how much is out
      return true;
    }
    if ((now & kWriting) == 0 || waited_us >= kTakeMs * 1000) return false;
    SleepUs(kPauseUs);
    waited_us += kPauseUs;
    now = place->state.load(std::memory_order_relaxed);
  }
}

void SinkTurn::Pass(bool is_begun, bool is_whole) {
  TurnPlace* const place = place_.load(std::memory_order_relaxed);
  if (place == nullptr) return;
  uint64_t mine = place->state.load(std::memory_order_relaxed);
  if (NumberOf(mine) != number_) return;  // a handler has interrupted the write and taken the turn
  place->writer.store(0, std::memory_order_relaxed);
  if (is_begun) place->is_torn.store(false, std::memory_order_relaxed);
  // Release: pairs with the acquire in Take. The exchange fails if a handler takes the turn at this moment.
  const uint64_t next = is_begun && !is_whole ? mine & ~kWriting : 0;
  place->state.compare_exchange_strong(mine, next, std::memory_order_release, std::memory_order_relaxed);
}

bool SinkTurn::needs_newline() const {
  const TurnPlace* const place = place_.load(std::memory_order_relaxed);
  return place != nullptr && place->is_torn.load(std::memory_order_relaxed);
}

bool SinkTurn::is_shared() const {
  const TurnPlace* const place = place_.load(std::memory_order_relaxed);
  return place != nullptr && place->users.load(std::memory_order_relaxed) > 1;  // publishes nothing
}

bool SinkTurn::IsOthers() const {
  const TurnPlace* const place = place_.load(std::memory_order_relaxed);
  if (place == nullptr) return false;
  const uint64_t now = place->state.load(std::memory_order_relaxed);  // publishes nothing
  return now != 0 && NumberOf(now) != number_;
}

bool SinkTurn::LetOtherFinish() const {
  TurnPlace* const place = place_.load(std::memory_order_relaxed);
  if (place == nullptr) return true;
  for (int waited_us = 0; waited_us < kTakeMs * 1000 && IsOthers(); waited_us += kPauseUs) {
    if (LineFinishers::TryFinish(NumberOf(place->state.load(std::memory_order_relaxed)))) break;  // publishes nothing
    SleepUs(kPauseUs);
  }
  return !IsOthers();
}

}  // namespace vmm

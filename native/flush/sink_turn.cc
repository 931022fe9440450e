#include "flush/sink_turn.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/signal_mask.h"
#include "base/this_thread.h"
#include "flush/line_finishers.h"

namespace vmm {

struct SinkPlace {
  // 0: the turn is free; else who has it: its number, the thread that took it last, and whether it is writing now.
  std::atomic<uint64_t> state{0};
  // Written by who has g_is_joining. Relaxed: 0 means that the keys below are nobody's.
  std::atomic<uint32_t> users{0};
  // Written by who has the turn, or by who takes it away from itself; published by `state`.
  std::atomic<bool> is_torn{false};
  // What it is; written and read by who has g_is_joining.
  uint64_t device = 0;
  uint64_t inode = 0;
};

namespace {

// /dev/null, /dev/full, /dev/kmsg have major number 1. Without major(3), which is a function call in some C libraries.
constexpr bool IsMemoryDevice(dev_t device) { return device >> 8 == 1; }
constexpr uint64_t kWriting = 1;
constexpr int kPauseUs = 50;
constexpr int kJoinMs = 100;

// What stores write to now. Beyond as many, stores take no turns.
constexpr int kPlaces = 128;
SinkPlace g_places[kPlaces];
// Guards the keys of the places. Waited for with a limit only: the thread that has it may be the one that a handler
// interrupts.
std::atomic<bool> g_is_joining{false};

// Runs in the child right after a fork, where no other thread exists: stores and locks are those of the parent.
void FreeAllInChild() {
  for (SinkPlace& place : g_places) {
    place.state.store(0, std::memory_order_relaxed);
    place.is_torn.store(false, std::memory_order_relaxed);
  }
  g_is_joining.store(false, std::memory_order_relaxed);
}

uint64_t StateOf(uint32_t number, uint32_t thread, bool is_writing) {
  return static_cast<uint64_t>(number) << 32 | static_cast<uint64_t>(thread) << 1 | (is_writing ? kWriting : 0);
}
uint32_t NumberOf(uint64_t state) { return static_cast<uint32_t>(state >> 32); }
uint32_t ThreadOf(uint64_t state) { return static_cast<uint32_t>(state) >> 1; }

bool LockPlaces() {
  for (int waited_us = 0; waited_us < kJoinMs * 1000; waited_us += kPauseUs) {
    // Acquire: pairs with the release in UnlockPlaces.
    if (!g_is_joining.exchange(true, std::memory_order_acquire)) return true;
    SleepUs(kPauseUs);
  }
  return false;
}

void UnlockPlaces() { g_is_joining.store(false, std::memory_order_release); }

// The place of that key, made if there is none, with one more user. Null when there is no room.
SinkPlace* Enter(uint64_t device, uint64_t inode) {
  SinkPlace* unused = nullptr;
  for (SinkPlace& place : g_places) {
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
  // Relaxed, all: nobody else has the place yet, and the lock publishes it.
  unused->state.store(0, std::memory_order_relaxed);
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
  // A device is the same by each of its names. No file system has the number of all ones.
  const bool is_device = S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode);
  const uint64_t device = is_device ? ~uint64_t{0} : info.st_dev;
  const uint64_t inode = is_device ? info.st_rdev : info.st_ino;
  const SignalMask mask;  // a handler on this thread would wait for the lock in vain
  if (!LockPlaces()) return;
  place_.store(Enter(device, inode), std::memory_order_relaxed);
  UnlockPlaces();
}

void SinkTurn::Leave(bool is_gone) {
  SinkPlace* const place = place_.load(std::memory_order_relaxed);
  if (place == nullptr) return;
  place_.store(nullptr, std::memory_order_relaxed);
  if (NumberOf(place->state.load(std::memory_order_relaxed)) == number_) {  // only this one changes it then
    if (!is_gone) place->is_torn.store(true, std::memory_order_relaxed);
    place->state.store(0, std::memory_order_release);  // pairs with the acquire in Take
  }
  const SignalMask mask;
  if (!LockPlaces()) return;                             // a place less
  place->users.fetch_sub(1, std::memory_order_relaxed);  // under the lock
  UnlockPlaces();
}

void SinkTurn::Drop() {
  SinkPlace* const place = place_.load(std::memory_order_relaxed);
  if (place == nullptr || NumberOf(place->state.load(std::memory_order_relaxed)) != number_) return;
  place->state.store(0, std::memory_order_release);  // pairs with the acquire in Take
}

bool SinkTurn::Take() {
  SinkPlace* const place = place_.load(std::memory_order_relaxed);
  if (place == nullptr) return true;
  const uint32_t thread = static_cast<uint32_t>(ThreadId());
  const uint64_t mine = StateOf(number_, thread, true);
  uint64_t now = place->state.load(std::memory_order_relaxed);  // the exchange below acquires
  for (int waited_us = 0;;) {
    const bool is_mine = NumberOf(now) == number_;
    // This is the handler of a signal that came in the middle of that write, which does not go on before the handler
    // returns.
    const bool is_interrupted = !is_mine && (now & kWriting) != 0 && ThreadOf(now) == thread;
    if (now == 0 || is_mine || is_interrupted) {
      // Acquire: pairs with the releases of who had the turn before.
      if (!place->state.compare_exchange_weak(now, mine, std::memory_order_acquire, std::memory_order_relaxed)) continue;
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
  SinkPlace* const place = place_.load(std::memory_order_relaxed);
  if (place == nullptr) return;
  uint64_t mine = place->state.load(std::memory_order_relaxed);
  if (NumberOf(mine) != number_) return;  // it was taken from a write that was interrupted
  if (is_begun) place->is_torn.store(false, std::memory_order_relaxed);
  // Release: pairs with the acquire in Take. Should a handler take the turn just now, it has it.
  const uint64_t next = is_begun && !is_whole ? mine & ~kWriting : 0;
  place->state.compare_exchange_strong(mine, next, std::memory_order_release, std::memory_order_relaxed);
}

bool SinkTurn::needs_newline() const {
  const SinkPlace* const place = place_.load(std::memory_order_relaxed);
  return place != nullptr && place->is_torn.load(std::memory_order_relaxed);
}

bool SinkTurn::is_shared() const {
  const SinkPlace* const place = place_.load(std::memory_order_relaxed);
  return place != nullptr && place->users.load(std::memory_order_relaxed) > 1;  // how it is just now
}

bool SinkTurn::IsOthers() const {
  const SinkPlace* const place = place_.load(std::memory_order_relaxed);
  if (place == nullptr) return false;
  const uint64_t now = place->state.load(std::memory_order_relaxed);  // how it is just now
  return now != 0 && NumberOf(now) != number_;
}

bool SinkTurn::LetOtherFinish() const {
  SinkPlace* const place = place_.load(std::memory_order_relaxed);
  if (place == nullptr) return true;
  for (int waited_us = 0; waited_us < kTakeMs * 1000 && IsOthers(); waited_us += kPauseUs) {
    if (LineFinishers::TryFinish(NumberOf(place->state.load(std::memory_order_relaxed)))) break;  // as it is just now
    SleepUs(kPauseUs);
  }
  return !IsOthers();
}

}  // namespace vmm

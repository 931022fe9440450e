#include "handler_chain.h"

#include <atomic>
#include <cstdint>

namespace vmm {

namespace {

// More signals than this are not handled at once; beyond it a chain that runs in a circle goes on until a place is free.
constexpr int kPlaces = 128;

struct Place {
  std::atomic<const void*> context;  // null: the place is free
  std::atomic<uintptr_t> frame;      // of the innermost call of our handler; the stack grows down
  std::atomic<int> depth;
};

Place g_places[kPlaces];

}  // namespace

ChainEntry::ChainEntry(const void* context) {
  if (context == nullptr) return;
  const uintptr_t frame = reinterpret_cast<uintptr_t>(this);
  for (int i = 0; i < kPlaces; i++) {
    Place& place = g_places[i];
    if (place.context.load(std::memory_order_relaxed) != context) continue;
    // Ours: no other thread has this context. A frame that is not below the one noted is not called by it: that one was left by a
    // jump.
    const bool is_called = frame < place.frame.load(std::memory_order_relaxed);
    depth_ = is_called ? place.depth.load(std::memory_order_relaxed) + 1 : 0;
    place.depth.store(depth_, std::memory_order_relaxed);
    if (!is_called) place.frame.store(frame, std::memory_order_relaxed);
    place_ = i;
    return;
  }
  for (int i = 0; i < kPlaces; i++) {
    const void* free = nullptr;
    // Acquire-release: the place passes from one thread to another.
    if (!g_places[i].context.compare_exchange_strong(free, context, std::memory_order_acq_rel)) continue;
    g_places[i].frame.store(frame, std::memory_order_relaxed);
    g_places[i].depth.store(0, std::memory_order_relaxed);
    place_ = i;
    return;
  }
}

ChainEntry::~ChainEntry() {
  if (place_ < 0) return;
  Place& place = g_places[place_];
  if (depth_ > 0) {
    place.depth.store(depth_ - 1, std::memory_order_relaxed);
  } else {
    // Release: pairs with the exchange that claims the place next.
    place.context.store(nullptr, std::memory_order_release);
  }
}

void ChainEntry::ForgetAll() {
  for (Place& place : g_places) place.context.store(nullptr, std::memory_order_relaxed);  // nothing else runs
}

}  // namespace vmm

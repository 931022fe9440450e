#include "crash/handler_chain.h"

#include <ucontext.h>

#include <cstdint>

namespace vmm {

namespace {

// The address of this variable identifies this copy of the library.
const char kOwner = 0;

uintptr_t AddressOf(const void* thing) { return reinterpret_cast<uintptr_t>(thing); }

// The maximum number of bytes between two calls of our handler for one signal: the frames of the host's handlers, on a
// stack of the usual size.
constexpr uintptr_t kFramesBytesMax = 8 << 20;

// A host may pass on a context of its own making, with any value in `uc_link`. So a link is followed only if it is
// further up this stack. (The context itself may be elsewhere: ThreadSanitizer passes on a copy.)
bool IsAbove(const void* link, const void* inner) {
  return AddressOf(link) > AddressOf(inner) && AddressOf(link) - AddressOf(inner) < kFramesBytesMax &&
         AddressOf(link) % alignof(void*) == 0;
}

ucontext_t*& LinkOf(void* context) { return static_cast<ucontext_t*>(context)->uc_link; }

}  // namespace

ChainEntry::ChainEntry(void* context) {
  if (context == nullptr) return;
  context_ = context;
  before_ = LinkOf(context);
  link_.owner = &kOwner;
  const void* inner = this;
  const void* at = before_;
  if (IsAbove(at, inner)) link_.older = static_cast<const Link*>(at);
  for (; IsAbove(at, inner); inner = at, at = static_cast<const Link*>(at)->older) {
    if (static_cast<const Link*>(at)->owner == &kOwner) depth_++;
  }
  LinkOf(context) = reinterpret_cast<ucontext_t*>(&link_);
}

ChainEntry::~ChainEntry() {
  if (context_ != nullptr) LinkOf(context_) = static_cast<ucontext_t*>(before_);
}

}  // namespace vmm

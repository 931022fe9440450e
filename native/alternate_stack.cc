#include "alternate_stack.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

namespace vmm {

namespace {

// The handler needs a few KiB, and the kernel puts the whole register state there: 2.7 KiB with AVX-512, more on newer
// machines. A stack below MINSIGSTKSZ is accepted on some and then silently not used.
constexpr size_t kStackBytes = 64 * 1024;

// The smallest stack of a thread's own that is left in place.
constexpr size_t kEnoughBytes = 16 * 1024;

// Lowest first: a guard page, what the thread had before and gets back, and the stack.
struct Saved {
  stack_t before;
};

size_t GuardBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }
size_t MappedBytes() { return GuardBytes() + sizeof(Saved) + kStackBytes; }

}  // namespace

void* MakeAlternateStack() {
  stack_t now;
  if (sigaltstack(nullptr, &now) != 0) return nullptr;
  if ((now.ss_flags & SS_DISABLE) == 0 && now.ss_size >= kEnoughBytes) return nullptr;
  const size_t guard = GuardBytes();
  void* mapping = mmap(nullptr, MappedBytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  mprotect(mapping, guard, PROT_NONE);
  stack_t own = {};
  Saved* const saved = reinterpret_cast<Saved*>(static_cast<char*>(mapping) + guard);
  own.ss_sp = saved + 1;
  own.ss_size = kStackBytes;
  if (sigaltstack(&own, &saved->before) != 0) {
    munmap(mapping, MappedBytes());
    return nullptr;
  }
  return saved;
}

void FreeAlternateStack(void* stack) {
  if (stack == nullptr) return;
  stack_t now;
  Saved* const saved = static_cast<Saved*>(stack);
  if (sigaltstack(nullptr, &now) == 0 && now.ss_sp == saved + 1) sigaltstack(&saved->before, nullptr);
  munmap(static_cast<char*>(stack) - GuardBytes(), MappedBytes());
}

}  // namespace vmm

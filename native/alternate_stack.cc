#include "alternate_stack.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

namespace vmm {

namespace {

// The handler needs a few KiB, and the kernel puts the whole register state there: 2.7 KiB with AVX-512, more on newer
// machines. A stack below MINSIGSTKSZ is accepted on some and then silently not used.
constexpr size_t kStackBytes = 64 * 1024;

size_t GuardBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

void* MakeAlternateStack() {
  stack_t now;
  if (sigaltstack(nullptr, &now) != 0) return nullptr;
  if ((now.ss_flags & SS_DISABLE) == 0 && now.ss_size >= kStackBytes / 4) return nullptr;
  const size_t guard = GuardBytes();
  void* mapping = mmap(nullptr, guard + kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  mprotect(mapping, guard, PROT_NONE);
  stack_t own = {};
  own.ss_sp = static_cast<char*>(mapping) + guard;
  own.ss_size = kStackBytes;
  if (sigaltstack(&own, nullptr) != 0) {
    munmap(mapping, guard + kStackBytes);
    return nullptr;
  }
  return own.ss_sp;
}

void FreeAlternateStack(void* stack) {
  if (stack == nullptr) return;
  stack_t now;
  if (sigaltstack(nullptr, &now) == 0 && now.ss_sp == stack) {
    stack_t none = {};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
  }
  const size_t guard = GuardBytes();
  munmap(static_cast<char*>(stack) - guard, guard + kStackBytes);
}

}  // namespace vmm

#include "crash/alternate_stack.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

namespace vmm {

namespace {

// The handler needs a few KiB, and the kernel saves all registers on the stack: 2.7 KiB with AVX-512, more on newer
// machines. Some kernels accept a stack below MINSIGSTKSZ and then silently do not use it.
constexpr size_t kStackBytes = 64 * 1024;

// A host's alternate stack of this size is left in place; a smaller one is replaced.
constexpr size_t kEnoughBytes = 16 * 1024;

// A mapping holds, lowest first: a guard page, this struct, and the stack.
struct Saved {
  stack_t before;          // what the thread had before
  const void* its_thread;  // the address of g_current on the thread that made the stack
  int users;
};

// The stack that MakeAlternateStack gave this thread; null: none. No handler reads it, so it may be a thread_local.
thread_local Saved* g_current = nullptr;

size_t GuardBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }
size_t MappedBytes() { return GuardBytes() + sizeof(Saved) + kStackBytes; }

}  // namespace

void* MakeAlternateStack() {
  stack_t now;
  if (sigaltstack(nullptr, &now) != 0) return nullptr;
  const bool is_enabled = (now.ss_flags & SS_DISABLE) == 0;
  if (is_enabled && g_current != nullptr && now.ss_sp == g_current + 1) {
    g_current->users++;
    return g_current;
  }
  if (is_enabled && now.ss_size >= kEnoughBytes) return nullptr;
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
  saved->its_thread = &g_current;
  saved->users = 1;
  g_current = saved;
  return saved;
}

void FreeAlternateStack(void* stack) {
  if (stack == nullptr) return;
  Saved* const saved = static_cast<Saved*>(stack);
  // A caller on another thread has broken the contract: the stack's own thread still uses the stack.
  if (saved->its_thread != &g_current || --saved->users != 0) return;
  if (g_current == saved) g_current = nullptr;
  stack_t now;
  if (sigaltstack(nullptr, &now) == 0 && now.ss_sp == saved + 1) sigaltstack(&saved->before, nullptr);
  munmap(static_cast<char*>(stack) - GuardBytes(), MappedBytes());
}

}  // namespace vmm

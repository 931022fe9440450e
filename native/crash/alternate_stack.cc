#include "crash/alternate_stack.h"

#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#if !defined(AT_MINSIGSTKSZ)
#define AT_MINSIGSTKSZ 51
#endif

namespace vmm {

namespace {

// What the handler itself needs, twice over.
constexpr size_t kHandlerBytes = 32 * 1024;

// Some kernels accept a stack below MINSIGSTKSZ and then silently do not use it.
constexpr size_t kStackBytesMin = 64 * 1024;

// The bytes that the kernel puts on the stack before the handler runs: all registers. That is 3.5 KiB with AVX-512, 11
// KiB with AMX, and up to 70 KiB with the matrices of SME. Kernels before 5.18 (arm64: before 5.0) do not say it.
size_t FrameBytes() { return static_cast<size_t>(getauxval(AT_MINSIGSTKSZ)); }

// The size of a new stack, rounded up to a size that any alignment divides.
size_t StackBytes() {
  const size_t bytes = (FrameBytes() + kHandlerBytes + 4095) / 4096 * 4096;
  return bytes > kStackBytesMin ? bytes : kStackBytesMin;
}

// A host's alternate stack of this size is left in place; a smaller one is replaced.
size_t EnoughBytes() {
  const size_t bytes = FrameBytes() + 12 * 1024;
  return bytes > 16 * 1024 ? bytes : 16 * 1024;
}

// A mapping holds, lowest first: a guard page, this struct, and the stack.
struct Saved {
  stack_t before;          // what the thread had before
  const void* its_thread;  // the address of g_current on the thread that made the stack
  int users;
};

// The stack that MakeAlternateStack gave this thread; null: none. No handler reads it, so it may be a thread_local.
thread_local Saved* g_current = nullptr;

size_t GuardBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }
size_t MappedBytes() { return GuardBytes() + sizeof(Saved) + StackBytes(); }

}  // namespace

void* MakeAlternateStack() {
  stack_t now;
  if (sigaltstack(nullptr, &now) != 0) return nullptr;
  const bool is_enabled = (now.ss_flags & SS_DISABLE) == 0;
  if (is_enabled && g_current != nullptr && now.ss_sp == g_current + 1) {
    g_current->users++;
    return g_current;
  }
  if (is_enabled && now.ss_size >= EnoughBytes()) return nullptr;
  const size_t guard = GuardBytes();
  void* mapping = mmap(nullptr, MappedBytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  mprotect(mapping, guard, PROT_NONE);
  stack_t own = {};
  Saved* const saved = reinterpret_cast<Saved*>(static_cast<char*>(mapping) + guard);
  own.ss_sp = saved + 1;
  own.ss_size = StackBytes();
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

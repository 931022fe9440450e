// Watches signal handlers for allocation. The functions below replace the C library's allocation functions: each
// reports on standard error if a watched handler called it, and then calls the original.
//
// Included by one file of a program, or of a library that is loaded before the C library (LD_PRELOAD). Does not work
// with a sanitizer, which replaces the same functions.
//
// Thread-safety:       any thread; each thread knows whether it is inside a handler.
// Async-signal-safety: safe.

#pragma once

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <cstddef>

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define VMM_WATCHES_HANDLERS 1

#pragma GCC visibility push(default)

extern "C" {

void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void* memory);

// Initial-exec: reading the variable allocates nothing.
static __attribute__((tls_model("initial-exec"))) thread_local int vmm_inside_handler = 0;
static struct sigaction vmm_watched[65];

static void vmm_say_if_inside(const char* call) {
  if (vmm_inside_handler == 0) return;
  static const char kSaid[] = " was called in the handler\n";
  if (write(STDERR_FILENO, call, strlen(call)) < 0 || write(STDERR_FILENO, kSaid, sizeof(kSaid) - 1) < 0) _exit(99);
}

void* malloc(size_t bytes) {
  vmm_say_if_inside("malloc");
  return __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) {
  vmm_say_if_inside("calloc");
  return __libc_calloc(count, bytes);
}
void* realloc(void* memory, size_t bytes) {
  vmm_say_if_inside("realloc");
  return __libc_realloc(memory, bytes);
}
void free(void* memory) {
  vmm_say_if_inside("free");
  __libc_free(memory);
}
void* memalign(size_t alignment, size_t bytes) {
  vmm_say_if_inside("memalign");
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  vmm_say_if_inside("aligned_alloc");
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** memory, size_t alignment, size_t bytes) {
  vmm_say_if_inside("posix_memalign");
  *memory = __libc_memalign(alignment, bytes);
  return *memory == nullptr ? ENOMEM : 0;
}

static void vmm_hand_on(int signal, siginfo_t* info, void* context) {
  vmm_inside_handler++;
  vmm_watched[signal].sa_sigaction(signal, info, context);
  vmm_inside_handler--;
}

// Watches the handler that this signal has now: above that handler, installs another one that calls it. Returns false
// if the signal has no handler with SA_SIGINFO.
bool vmm_watch_handler(int signal) {
  struct sigaction above;
  if (sigaction(signal, nullptr, &above) != 0 || (above.sa_flags & SA_SIGINFO) == 0) return false;
  vmm_watched[signal] = above;
  above.sa_sigaction = vmm_hand_on;
  return sigaction(signal, &above, nullptr) == 0;
}

}  // extern "C"

#pragma GCC visibility pop

#endif

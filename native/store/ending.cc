#include "store/ending.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>

namespace vmm {

namespace {

// A worker that is terminated and started again and again leaves one each time.
constexpr uint32_t kAwaitingMax = 8;
// One more than the descriptor; 0: none.
std::atomic<int> g_awaiting[kAwaitingMax];
std::atomic<uint32_t> g_next{0};

void (*g_handler)(int32_t) = nullptr;

}  // namespace

void AtProcessExit(void (*handler)(int32_t exit_code)) {
  g_handler = handler;  // before it is registered, which is once in a process
#if defined(__GLIBC__)
  // The low byte is all that a parent sees.
  on_exit([](int status, void*) { g_handler(status & 0xff); }, nullptr);
#else
  atexit([] { g_handler(kExitCodeUnknown); });
#endif
}

void AwaitExitCode(int file) {
  const int own = fcntl(file, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return;
  // Relaxed: to take another place than others do. Acquire-release: whoever takes the descriptor out has it alone.
  std::atomic<int>& place = g_awaiting[g_next.fetch_add(1, std::memory_order_relaxed) % kAwaitingMax];
  const int older = place.exchange(own + 1, std::memory_order_acq_rel);
  if (older != 0) close(older - 1);
}

void SettleExitCodes(int32_t exit_code) {
  for (std::atomic<int>& place : g_awaiting) {
    const int file = place.exchange(0, std::memory_order_acq_rel);  // as above
    if (file == 0) continue;
    if (exit_code != kExitCodeUnknown) {
      // What cannot be written stays as it was said.
      [[maybe_unused]] const ssize_t ignored = pwrite(file - 1, &exit_code, sizeof(exit_code), offsetof(RegionHeader, exit_code));
    }
    close(file - 1);
  }
}

}  // namespace vmm

#include "store/ending.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>

namespace vmm {

namespace {

// Each worker that opens a store and is terminated leaves one descriptor, so there is a limit.
constexpr uint32_t kAwaitingMax = 8;
// Each value is a descriptor plus 1, or 0 for none.
std::atomic<int> g_awaiting[kAwaitingMax];
std::atomic<uint32_t> g_next{0};

void (*g_handler)(int32_t) = nullptr;

}  // namespace

void AtProcessExit(void (*handler)(int32_t exit_code)) {
  g_handler = handler;
#if defined(__GLIBC__)
  // A parent process gets only the low byte.
  on_exit([](int status, void*) { g_handler(status & 0xff); }, nullptr);
#else
  atexit([] { g_handler(kExitCodeUnknown); });
#endif
}

void AwaitExitCode(int file) {
  const int own = fcntl(file, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return;
  // Relaxed: publishes nothing; threads take different slots. Acquire-release: the thread that takes a descriptor out
  // of its slot owns it alone.
  std::atomic<int>& slot = g_awaiting[g_next.fetch_add(1, std::memory_order_relaxed) % kAwaitingMax];
  const int older = slot.exchange(own + 1, std::memory_order_acq_rel);
  if (older != 0) close(older - 1);
}

void SettleExitCodes(int32_t exit_code) {
  for (std::atomic<int>& slot : g_awaiting) {
    const int file = slot.exchange(0, std::memory_order_acq_rel);  // as in AwaitExitCode
    if (file == 0) continue;
    if (exit_code != kExitCodeUnknown) {
      // When the write fails, the region keeps the earlier value.
      [[maybe_unused]] const ssize_t ignored = pwrite(file - 1, &exit_code, sizeof(exit_code), offsetof(RegionHeader, exit_code));
    }
    close(file - 1);
  }
}

}  // namespace vmm

// A slow disk, for LD_PRELOAD. After vmm_test_arm_slow_write, the next line stays half written for a while. With a
// negative time, the line is written whole, and the signal comes after that time and before write() returns. So a test
// can reach the moments between the first byte of a line and its commit every time, and not just by luck.

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

namespace {

std::atomic<int> g_armed{0};
std::atomic<bool> g_reached{false};
int g_ms = 0;
int g_signal = 0;
// The writer has a fault after this percentage of the bytes; negative: no fault.
int g_fault_percent = -1;

void Wait(int ms) {
  timespec left = {ms / 1000, ms % 1000 * 1'000'000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

ssize_t WriteNow(int fd, const void* bytes, size_t count) { return syscall(SYS_write, fd, bytes, count); }

bool IsLine(const char* bytes, size_t count) {
  return count > 1000 && (memcmp(bytes, "{\"utc", 5) == 0 || memcmp(bytes, "\n{\"utc", 6) == 0);
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) void vmm_test_arm_slow_write(int ms, int signal) {
  g_ms = ms;
  g_signal = signal;
  g_fault_percent = -1;
  g_reached.store(false);
  g_armed.store(1);
}

__attribute__((visibility("default"))) void vmm_test_arm_faulty_write(int percent) {
  vmm_test_arm_slow_write(0, 0);
  g_fault_percent = percent;
}

__attribute__((visibility("default"))) bool vmm_test_slow_write_reached() { return g_reached.load(); }

__attribute__((visibility("default"))) ssize_t write(int fd, const void* bytes, size_t count) {
  int armed = 1;
  if (!IsLine(static_cast<const char*>(bytes), count) || !g_armed.compare_exchange_strong(armed, 0))
    return WriteNow(fd, bytes, count);
  if (g_fault_percent >= 0) {
    const size_t part = count * static_cast<size_t>(g_fault_percent) / 100;
    if (part != 0) WriteNow(fd, bytes, part);
    g_reached.store(true);
    volatile int* volatile nowhere = nullptr;
    *nowhere = 1;
  }
  if (g_ms < 0) {
    const ssize_t whole = WriteNow(fd, bytes, count);
    g_reached.store(true);
    Wait(-g_ms);
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), g_signal);
    return whole;
  }
  const size_t half = count / 2;
  const ssize_t first = WriteNow(fd, bytes, half);
  if (first < static_cast<ssize_t>(half)) return first;
  g_reached.store(true);
  if (g_signal != 0) syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), g_signal);
  Wait(g_ms);
  const ssize_t second = WriteNow(fd, static_cast<const char*>(bytes) + half, count - half);
  return second < 0 ? first : first + second;
}

}  // extern "C"

#include "base/process_identity.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace vmm {

namespace {

// The beginning of a file as text; empty when it cannot be read.
void ReadText(const char* path, char* text, size_t bytes) {
  text[0] = '\0';
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  const ssize_t count = read(fd, text, bytes - 1);
  close(fd);
  text[count < 0 ? 0 : count] = '\0';
}

// The 22nd field of /proc/self/stat. The second, the name, is in brackets and may hold anything.
uint64_t StartTicks() {
  char text[1024];
  ReadText("/proc/self/stat", text, sizeof(text));
  const char* at = strrchr(text, ')');
  for (int field = 2; at != nullptr && field < 22; field++) at = strchr(at + 1, ' ');
  return at == nullptr ? 0 : strtoull(at, nullptr, 10);
}

int64_t NowNs(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

// When the machine was started, by the clock on the wall. The processor may be taken away between the readings of the
// two clocks: of a few attempts, the one that took least is nearest.
int64_t BootedAtNs() {
  int64_t least_ns = INT64_MAX, booted_ns = 0;
  for (int i = 0; i < 5; i++) {
    const int64_t before_ns = NowNs(CLOCK_BOOTTIME), now_ns = NowNs(CLOCK_REALTIME), took_ns = NowNs(CLOCK_BOOTTIME) - before_ns;
    if (took_ns >= least_ns) continue;
    least_ns = took_ns;
    booted_ns = now_ns - before_ns - took_ns / 2;
  }
  return booted_ns;
}

}  // namespace

ProcessIdentity ThisProcess() {
  ProcessIdentity self;
  self.process_id = getpid();
  self.start_ticks = StartTicks();
  const int64_t since_boot_ns = static_cast<int64_t>(self.start_ticks) * (1'000'000'000 / sysconf(_SC_CLK_TCK));
  self.start_realtime_ns = BootedAtNs() + since_boot_ns;
  char text[64];
  ReadText("/proc/sys/kernel/random/boot_id", text, sizeof(text));
  text[strcspn(text, "\n")] = '\0';
  if (strlen(text) < sizeof(self.boot_id)) strcpy(self.boot_id, text);
  return self;
}

}  // namespace vmm

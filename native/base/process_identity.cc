#include "base/process_identity.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "base/clock.h"

namespace vmm {

namespace {

// Reads the beginning of a file as text; an empty text when the file cannot be read.
void ReadText(const char* path, char* text, size_t bytes) {
  text[0] = '\0';
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  const ssize_t count = read(fd, text, bytes - 1);
  close(fd);
  text[count < 0 ? 0 : count] = '\0';
}

// The 22nd field of /proc/self/stat. The second field, the name, is in brackets and may contain any character.
uint64_t StartTicks() {
  char text[1024];
  ReadText("/proc/self/stat", text, sizeof(text));
  const char* at = strrchr(text, ')');
  for (int field = 2; at != nullptr && field < 22; field++) at = strchr(at + 1, ' ');
  return at == nullptr ? 0 : strtoull(at, nullptr, 10);
}

// When the machine was started, by the wall clock. The scheduler may interrupt this thread between the readings of the
// two clocks, so the shortest of five attempts is the most exact.
int64_t BootedAtNs() {
  int64_t shortest_ns = INT64_MAX, booted_ns = 0;
  for (int i = 0; i < 5; i++) {
    const int64_t before_ns = BoottimeNs(), now_ns = RealtimeNs(), took_ns = BoottimeNs() - before_ns;
    if (took_ns >= shortest_ns) continue;
    shortest_ns = took_ns;
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

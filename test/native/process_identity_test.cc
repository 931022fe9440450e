// ProcessIdentity: it agrees with /proc, whatever the name of the process.

#include "base/process_identity.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/clock.h"
#include "check.h"
#include "child.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

// The 22nd field of /proc/<pid>/stat. The second field, the name, is in brackets.
uint64_t StartTicks(const std::string& stat) {
  unsigned long long ticks = 0;
  const std::string rest = stat.substr(stat.rfind(") ") + 2);
  CHECK_EQ(std::sscanf(rest.c_str(), "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &ticks),
           1);
  return ticks;
}

TEST("given a process of any name, when its identity is read, then it is that of /proc") {
  for (const char* name : {"plain", "a) b (c", ") 1 2 3 4 5", ""}) {
    CheckInChild([&] {
      prctl(PR_SET_NAME, name);
      const ProcessIdentity self = ThisProcess();
      CHECK_EQ(self.process_id, getpid());
      CHECK(self.start_ticks != 0);
      CHECK_EQ(self.start_ticks, StartTicks(TextOf("/proc/self/stat")));
      CHECK_EQ(std::string(self.boot_id) + "\n", TextOf("/proc/sys/kernel/random/boot_id"));
      CHECK_EQ(std::string(self.boot_id).size(), 36);
      CHECK_EQ(std::string(self.boot_id + 36, 4), std::string(4, '\0'));
    });
  }
}

TEST(
    "given a process that has just begun, when it is asked for its start, then it says just now, and the same when it is asked "
    "again") {
  // On a busy machine a child may begin late, but never before the fork.
  const int64_t before_ns = RealtimeNs();
  CheckInChild([&] {
    const int64_t after_ns = RealtimeNs();
    const ProcessIdentity self = ThisProcess();
    constexpr int64_t kTolerance = 50'000'000;  // /proc has ticks, and the clocks are read in turn
    CHECK(self.start_realtime_ns > before_ns - kTolerance);
    CHECK(self.start_realtime_ns < after_ns + kTolerance);
    SleepMs(30);
    const ProcessIdentity later = ThisProcess();
    CHECK_EQ(later.start_ticks, self.start_ticks);
    CHECK(std::llabs(later.start_realtime_ns - self.start_realtime_ns) < 10'000'000);
  });
}

}  // namespace
}  // namespace vmm

// Periodic: ticks, changes of the interval, and a stop that does not wait for the interval's end.
//
// No test here measures how long something took: a machine under load is late. Instead, intervals take an hour, so a
// test that ends has not waited for an interval.

#include "store/periodic.h"

#include <signal.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "check.h"
#include "child.h"

namespace vmm {
namespace {

constexpr uint64_t kHourMs = 3'600'000;
constexpr int kLongMs = kChildLimitMs;

bool Within(int limit_ms, const std::atomic<int>& ticks, int expected) {
  const int64_t deadline_ms = MonotonicMs() + limit_ms;
  while (ticks < expected && MonotonicMs() < deadline_ms) SleepMs(1);
  return ticks >= expected;
}

TEST("given a periodic flush, when it is started and stopped, then ticks follow each other, and none comes after the stop") {
  std::atomic<int> ticks{0};
  Periodic periodic([&] { ticks++; });
  CHECK(periodic.Start(5).ok());
  CHECK(Within(kLongMs, ticks, 5));
  periodic.Stop();
  const int at_stop = ticks;
  SleepMs(30);
  CHECK_EQ(ticks.load(), at_stop);
  periodic.Stop();  // twice is harmless
}

TEST("given a periodic flush, when it is started, then the first tick comes after one interval") {
  std::atomic<int> ticks{0};
  Periodic periodic([&] { ticks++; });
  const int64_t begin_ms = MonotonicMs();
  CHECK(periodic.Start(100).ok());
  CHECK(Within(kLongMs, ticks, 1));
  CHECK(MonotonicMs() - begin_ms >= 100);  // never sooner; a busy machine may be later
}

TEST("given an interval of an hour, when it is changed to milliseconds and back, then ticks come, and then no more") {
  std::atomic<int> ticks{0};
  Periodic periodic([&] { ticks++; });
  CHECK(periodic.Start(kHourMs).ok());
  SleepMs(20);
  CHECK_EQ(ticks.load(), 0);
  CHECK(periodic.Start(5).ok());
  CHECK(Within(kLongMs, ticks, 3));
  CHECK(periodic.Start(kHourMs).ok());
  const int before = ticks;
  SleepMs(50);
  CHECK(ticks <= before + 1);  // one may have been under way
}

TEST("given an interval of an hour, when the periodic flush is stopped, then the stop does not wait for the tick") {
  Periodic periodic([] {});
  CHECK(periodic.Start(kHourMs).ok());
  SleepMs(5);
  periodic.Stop();
  CHECK(true);  // Stop has returned
}

TEST("given a stopped periodic flush, when it is started again, then ticks go on") {
  std::atomic<int> ticks{0};
  Periodic periodic([&] { ticks++; });
  CHECK(periodic.Start(kHourMs).ok());
  periodic.Stop();
  CHECK(periodic.Start(5).ok());
  CHECK(Within(kLongMs, ticks, 2));
}

TEST("given a tick that takes longer than the interval, when it is done, then missed ticks are not made up for") {
  int64_t at_ms[4] = {};
  std::atomic<int> ticks{0};
  Periodic periodic([&] {
    const int tick = ticks;
    if (tick < 4) at_ms[tick] = MonotonicMs();
    if (tick == 0) SleepMs(300);
    ticks++;
  });
  CHECK(periodic.Start(100).ok());
  CHECK(Within(kLongMs, ticks, 4));
  periodic.Stop();
  // The first tick took 300 ms, and three ticks of the grid follow. If missed ticks were made up for, the three would
  // come at once.
  CHECK(at_ms[3] - at_ms[0] >= 400);
}

TEST("given a tick under way, when the periodic flush is stopped, then the stop waits until the tick ends") {
  std::atomic<int> began{0}, ended{0};
  Periodic periodic([&] {
    began++;
    SleepMs(50);
    ended++;
  });
  CHECK(periodic.Start(1).ok());
  CHECK(Within(kLongMs, began, 1));
  periodic.Stop();
  CHECK_EQ(ended.load(), began.load());
}

TEST("given a tick, when its signal mask is read, then asynchronous signals are blocked on its thread, and on no other") {
  sigset_t none, after, on_thread;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  std::atomic<int> ticks{0};
  Periodic periodic([&] {
    if (ticks == 0) pthread_sigmask(SIG_SETMASK, nullptr, &on_thread);
    ticks++;
  });
  CHECK(periodic.Start(1).ok());
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  CHECK(Within(kLongMs, ticks, 1));
  periodic.Stop();
  for (const int signal : {SIGTERM, SIGHUP, SIGINT, SIGCHLD, SIGUSR1, SIGALRM, SIGPROF, SIGRTMAX}) {
    CHECK_EQ(sigismember(&on_thread, signal), 1);
    CHECK_EQ(sigismember(&after, signal), 0);
  }
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS}) {
    CHECK_EQ(sigismember(&on_thread, signal), 0);
  }
}

TEST("given threads that start and stop at once, when all are done and a stop follows, then no tick comes any more") {
  std::atomic<int> ticks{0};
  Periodic periodic([&] { ticks++; });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; i++) {
        if ((t + i) % 2 == 0) {
          CHECK(periodic.Start(1).ok());
        } else {
          periodic.Stop();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  periodic.Stop();
  const int at_stop = ticks;
  SleepMs(20);
  CHECK_EQ(ticks.load(), at_stop);
}

}  // namespace
}  // namespace vmm

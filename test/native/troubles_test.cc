// Troubles: one listener, what it takes, and many threads that add.

#include "store/troubles.h"

#include <atomic>
#include <thread>
#include <vector>

#include "check.h"

namespace vmm {
namespace {

Status Missed(int error) { return {Code::kWrite, error, "write"}; }

TEST("given a listener, when troubles are added, then it is called, and takes each of them once") {
  Troubles troubles;
  int calls = 0;
  CHECK(!troubles.HasListened());
  CHECK(troubles.Listen(&troubles, [&] { calls++; }));
  CHECK(troubles.HasListened());
  troubles.AddMissed(Missed(1));
  troubles.AddMissed(Missed(2));
  troubles.AddDegraded();
  troubles.AddDegraded();
  troubles.AddDisplaced(SetOf(SIGTERM));
  troubles.AddDisplaced(SetOf(SIGINT));
  troubles.AddDisplaced(0);
  CHECK_EQ(calls, 5);
  const Troubles::Taken taken = troubles.Take();
  CHECK_EQ(taken.missed.size(), size_t{2});
  CHECK_EQ(taken.missed[1].error, 2);
  CHECK(taken.is_degraded);
  CHECK_EQ(taken.displaced, SetOf(SIGTERM) | SetOf(SIGINT));
  CHECK_EQ(troubles.Take().missed.size(), size_t{0});
  troubles.AddDegraded();  // it was taken
  CHECK_EQ(calls, 5);
}

TEST("given more missed lines than are kept, when they are taken, then the oldest are missing") {
  Troubles troubles;
  troubles.Listen(&troubles, [] {});
  for (int i = 0; i < static_cast<int>(Troubles::kMissedMax) + 3; i++) troubles.AddMissed(Missed(i));
  const Troubles::Taken taken = troubles.Take();
  CHECK_EQ(taken.missed.size(), Troubles::kMissedMax);
  CHECK_EQ(taken.missed.front().error, 3);
}

TEST("given no listener, when troubles are added, then nothing is kept") {
  Troubles troubles;
  troubles.AddMissed(Missed(1));
  troubles.AddDegraded();
  int calls = 0, other = 0;
  CHECK(troubles.Listen(&calls, [&] { calls++; }));
  CHECK(!troubles.Listen(&other, [&] { other++; }));  // the first listener stays
  CHECK_EQ(troubles.Take().missed.size(), size_t{0});
  troubles.Unlisten(&other);
  troubles.AddDegraded();
  CHECK_EQ(calls, 1);
  troubles.Unlisten(&calls);
  CHECK(!troubles.Take().is_degraded);
  troubles.AddMissed(Missed(1));
  CHECK_EQ(calls, 1);
  CHECK(!troubles.Listen(&other, [&] { other++; }));  // nobody listens after the first listener
}

TEST("given threads that add troubles, when the listener leaves meanwhile, then no call comes after that") {
  for (int turn = 0; turn < 50; turn++) {
    Troubles troubles;
    std::atomic<bool> left{false};
    std::atomic<int> late{0};
    troubles.Listen(&troubles, [&] {
      if (left) late++;
    });
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; t++) {
      threads.emplace_back([&] {
        for (int i = 0; i < 100; i++) troubles.AddMissed(Missed(i));
      });
    }
    troubles.Take();
    troubles.Unlisten(&troubles);
    left = true;
    for (std::thread& thread : threads) thread.join();
    CHECK_EQ(late.load(), 0);
  }
}

}  // namespace
}  // namespace vmm

// SampleRing: rows go from one thread to another, in order and whole. A full ring takes only the last row.

#include "profile/sample_ring.h"

#include <thread>

#include "check.h"

namespace vmm {
namespace {

TEST("given a ring, when more rows come than it has, then the next row is refused, and there is still a place for the last one") {
  SampleRing ring;
  CHECK(ring.Create(2).ok());
  for (uint64_t i = 0; i < SampleRing::kRows; i++) {
    uint64_t* const row = ring.Next();
    if (!CHECK(row != nullptr)) return;
    row[0] = i;
    ring.Publish();
  }
  CHECK(ring.Next() == nullptr);
  ring.Last()[0] = 42;
  ring.Publish();
  CHECK_EQ(ring.filled(), SampleRing::kRows + 1);
  for (uint64_t i = 0; i < SampleRing::kRows; i++) {
    if (!CHECK_EQ(ring.Front()[0], i)) return;
    ring.Take();
  }
  CHECK_EQ(ring.Front()[0], 42);
  ring.Take();
  CHECK_EQ(ring.taken(), ring.filled());
  CHECK(ring.Next() != nullptr);
}

TEST("given no memory, when a ring is made, then it says so") {
  SampleRing ring;
  CHECK(ring.Create(size_t{1} << 40).code == Code::kMemory);
}

TEST("given a thread that fills the ring and one that takes rows, when many rows go through, then each is whole and in order") {
  constexpr uint64_t kRows = 200'000;
  SampleRing ring;
  CHECK(ring.Create(3).ok());
  std::thread filling([&] {
    for (uint64_t i = 0; i < kRows;) {
      uint64_t* const row = ring.Next();
      if (row == nullptr) {
        std::this_thread::yield();
        continue;
      }
      row[0] = i;
      row[1] = i * 3;
      row[2] = ~i;
      ring.Publish();
      i++;
    }
  });
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < kRows;) {
    if (ring.taken() == ring.filled()) {
      std::this_thread::yield();
      continue;
    }
    const uint64_t* const row = ring.Front();
    if (row[0] != i || row[1] != i * 3 || row[2] != ~i) wrong++;
    ring.Take();
    i++;
  }
  filling.join();
  CHECK_EQ(wrong, 0);
}

}  // namespace
}  // namespace vmm

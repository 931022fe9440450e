// A child is a process that a test forks and lets die. Death says how the child died.
//
// Thread-safety:       the test forks while it has one thread, since a child has no other.
// Async-signal-safety: none.
// Units:               milliseconds.

#pragma once

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>

#include "base/clock.h"
#include "check.h"
#include "region/region.h"

namespace vmm {

inline void SleepMs(int ms) { SleepUs(int64_t{ms} * 1000); }

struct Death {
  int signal = 0;     // the signal that ended the child; 0: no signal did
  int exit_code = 0;  // 1 when a check in the child failed
};

template <typename Body>
pid_t StartChild(Body body) {
  const pid_t child = fork();
  if (child != 0) return child;
  const rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  const int failed = check::failed;
  body();
  std::fflush(stdout);
  _exit(check::failed == failed ? 0 : 1);
}

// Calls `meanwhile` repeatedly until the child is dead. Kills the child after `limit_ms`; its death then has the signal
// SIGKILL.
template <typename Meanwhile>
Death Await(pid_t child, int limit_ms, Meanwhile meanwhile) {
  const int64_t deadline_ms = MonotonicMs() + limit_ms;
  int how = 0;
  for (pid_t died = 0; died == 0;) {
    died = waitpid(child, &how, WNOHANG);
    meanwhile();
    if (died != 0) break;
    if (MonotonicMs() > deadline_ms) kill(child, SIGKILL);
    SleepMs(1);
  }
  Death death;
  if (WIFSIGNALED(how)) death.signal = WTERMSIG(how);
  if (WIFEXITED(how)) death.exit_code = WEXITSTATUS(how);
  return death;
}

// Far more than any child takes on a busy machine: only a child that hangs is killed.
constexpr int kChildLimitMs = 240'000;

template <typename Body>
Death InChild(Body body) {
  return Await(StartChild(body), kChildLimitMs, [] {});
}

// Runs checks in a child, which must exit by itself with 0.
template <typename Body>
void CheckInChild(Body body) {
  const Death death = InChild(body);
  CHECK_EQ(death.signal, 0);
  CHECK_EQ(death.exit_code, 0);
}

// A child changes the header, which is shared. The region object's own copies of its fields are not shared and still
// have the values of the fork. This function updates them from the header.
inline void GoByHeader(Region& region) {
  region.SetCommit(region.header().commit.load());
  region.SetCellsUsed(region.header().cells_used.load());
  region.SetShardsUsed(region.header().shards_used.load());
  // Rows that the child began to use are only reserved in this process.
  for (uint32_t index = 0; index < region.cells_used(); index += region.chunk_cells()) {
    const uint32_t chunk = region.chunk_of(index);
    for (uint32_t bank = 0; bank < kBanks; bank++) CHECK(region.AllocateRow(chunk, bank).ok());
    for (uint32_t shard = 0; shard < region.shards_used(); shard++) CHECK(region.AllocateRow(chunk, kFirstShardRow + shard).ok());
  }
}

}  // namespace vmm

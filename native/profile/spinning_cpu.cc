#include "profile/spinning_cpu.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace vmm {

void SpinningCpu::Begin() { thread_.store(static_cast<pid_t>(syscall(SYS_gettid)), std::memory_order_relaxed); }

void SpinningCpu::Note() { cpu_.store(sched_getcpu(), std::memory_order_relaxed); }

void SpinningCpu::Avoid() {
  const int cpu = cpu_.load(std::memory_order_relaxed);
  if (cpu == avoided_ || cpu < 0 || cpu >= CPU_SETSIZE) return;
  // Start with the processors that the sampling thread may use: a limit set for that thread is meant for this one too.
  cpu_set_t others;
  if (sched_getaffinity(thread_.load(std::memory_order_relaxed), sizeof(others), &others) != 0) return;
  avoided_ = cpu;
  CPU_CLR(static_cast<size_t>(cpu), &others);
  if (CPU_COUNT(&others) == 0) CPU_SET(static_cast<size_t>(cpu), &others);
  sched_setaffinity(0, sizeof(others), &others);
}

}  // namespace vmm

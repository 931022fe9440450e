#include "base/fork.h"

#include <sys/mman.h>

#include <mutex>
#include <new>

namespace vmm {

void ForkMark::Set() {
  const size_t bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::atomic<uint32_t>* not_forked = nullptr;
  void* page = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page != MAP_FAILED && madvise(page, bytes, MADV_WIPEONFORK) == 0) {
    not_forked = new (page) std::atomic<uint32_t>(1);
  } else if (page != MAP_FAILED) {
    munmap(page, bytes);
  }
  // Release: publishes the page.
  not_forked_.store(not_forked, std::memory_order_release);
  process_.store(getpid(), std::memory_order_relaxed);  // publishes nothing; handlers that read it are installed later
}

uint32_t ForkGeneration::Own() {
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  if (!mark_.IsSameProcess()) {
    latest_.fetch_add(1, std::memory_order_relaxed);  // publishes nothing
    mark_.Set();
  }
  return latest_.load(std::memory_order_relaxed);
}

}  // namespace vmm

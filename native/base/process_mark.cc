#include "base/process_mark.h"

#include <sys/mman.h>

#include <new>

namespace vmm {

void ProcessMark::Set() {
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
  process_.store(getpid(), std::memory_order_relaxed);  // read by handlers that are installed later
}

}  // namespace vmm

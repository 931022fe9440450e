#include "base/process_number.h"

#include <atomic>
#include <mutex>

#include "base/process_mark.h"

namespace vmm {

namespace {

std::mutex g_mutex;
ProcessMark g_process;  // that asked for its number last
// Relaxed: no other memory is published by it.
std::atomic<uint32_t> g_number{0};

}  // namespace

uint32_t ProcessNumber::Own() {
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (!g_process.IsHere()) {
    g_number.fetch_add(1, std::memory_order_relaxed);
    g_process.Set();
  }
  return g_number.load(std::memory_order_relaxed);
}

bool ProcessNumber::IsOwn(uint32_t number) { return g_process.IsHere() && g_number.load(std::memory_order_relaxed) == number; }

}  // namespace vmm

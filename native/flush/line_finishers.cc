#include "flush/line_finishers.h"

#include <pthread.h>

#include <atomic>
#include <map>
#include <mutex>
#include <new>

namespace vmm {

namespace {

struct Finisher {
  FinishLine finish;
  void* store;
};

struct Registry {
  std::mutex mutex;
  std::map<uint32_t, Finisher> finishers;
  uint32_t last_number = 0;
};

// Never destroyed: worker threads may close stores while the process destroys its statics. The memory is static because
// a forked child makes a new registry, and the fork may have happened in the middle of an allocation.
alignas(Registry) unsigned char g_registry_memory[sizeof(Registry)];
// Every use is relaxed: the static in TheRegistry publishes the first registry, and a forked child has only one thread
// when it replaces the registry.
std::atomic<Registry*> g_registry{nullptr};

void MakeRegistry() { g_registry.store(new (g_registry_memory) Registry, std::memory_order_relaxed); }

Registry& TheRegistry() {
  static const int registered = [] {
    MakeRegistry();
    return pthread_atfork(nullptr, nullptr, MakeRegistry);
  }();
  static_cast<void>(registered);
  return *g_registry.load(std::memory_order_relaxed);
}

}  // namespace

uint32_t LineFinishers::Add(FinishLine finish, void* store) {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  const uint32_t number = ++registry.last_number;
  registry.finishers[number] = {finish, store};
  return number;
}

void LineFinishers::Remove(uint32_t number) {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  registry.finishers.erase(number);
}

bool LineFinishers::TryFinish(uint32_t number) {
  Registry& registry = TheRegistry();
  const std::unique_lock<std::mutex> lock(registry.mutex, std::try_to_lock);
  if (!lock.owns_lock()) return false;
  const auto found = registry.finishers.find(number);
  if (found != registry.finishers.end()) found->second.finish(found->second.store);
  return true;
}

}  // namespace vmm

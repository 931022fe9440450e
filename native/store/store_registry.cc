// The registry: the stores of this process by name, how they are opened, attached to, and closed.

#include <condition_variable>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "base/fork.h"
#include "base/lock_within.h"
#include "store/store.h"

namespace vmm {

namespace {

// A store by its name. A thread makes or closes a store without the registry's lock, since files may be slow. Other
// threads that want the name, or the file of a store that is closing, wait.
struct Registered {
  Store* store = nullptr;  // null: a thread is making the store
  bool is_closing = false;
  std::string file;
};

// The stores of this process. Leaked on purpose: worker threads may still detach while statics are destroyed.
struct Registry {
  std::mutex mutex;
  std::condition_variable changed;
  ForkMark process;  // the process that the stores belong to
  std::map<std::string, Registered> stores;

  // Whether a thread that wants this name and file must wait. Under the lock.
  bool IsBusy(const std::string& name, const std::string& file) const {
    for (const auto& [taken, one] : stores) {
      if (taken == name && (one.store == nullptr || one.is_closing)) return true;
      if (!file.empty() && one.file == file && one.is_closing) return true;
    }
    return false;
  }

  // In a forked child: the stores are its parent's, and the threads that make or close stores do not exist here. Under
  // the lock.
  void AdoptProcess() {
    if (process.IsSameProcess()) return;
    stores.clear();
    process.Set();
  }
};

Registry& TheRegistry() {
  static Registry* const registry = [] {
    AtProcessExit(Store::EndAllWithProcess);
    Registry* const made = new Registry;
    made->process.Set();
    return made;
  }();
  return *registry;
}

}  // namespace

// process.exit() ends the process without the cleanup hooks of its environment, so no thread has detached.
void Store::EndAllWithProcess(int32_t exit_code) {
  Registry& registry = TheRegistry();
  if (!registry.process.IsSameProcess()) return;  // a forked child; the stores are its parent's
  SettleExitCodes(exit_code);
  // A linked list, which allocates nothing: a signal handler that interrupted malloc() may have called exit().
  Store* first = nullptr;
  {
    // A signal handler may have called exit() on the thread that has the lock, so this gives up after a time. No thread
    // holds the lock for long.
    std::unique_lock<std::mutex> lock(registry.mutex, std::defer_lock);
    if (!LockWithin(lock, kExitLockMs)) return;
    for (const auto& [name, one] : registry.stores) {
      if (one.store == nullptr) continue;
      one.store->Retain();  // without Unreference: the process ends
      one.store->next_at_exit_ = std::exchange(first, one.store);
    }
  }
  // Ask all profiles first: then all of them together take at most a second, not a second each.
  for (Store* store = first; store != nullptr; store = store->next_at_exit_) store->profiler().AskToStopAtExit(kExitLockMs);
  for (Store* store = first; store != nullptr; store = store->next_at_exit_) store->EndWithProcess(exit_code);
}

void Store::VisitOpen(void (*visit)(void* context, const char* name, uint64_t schema_fingerprint), void* context) {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  if (!registry.process.IsSameProcess()) return;  // a forked child; the stores are its parent's
  for (const auto& [name, one] : registry.stores) {
    if (one.store != nullptr && !one.is_closing) visit(context, name.c_str(), one.store->spec_.schema_fingerprint);
  }
}

Status Store::Open(StoreSpec&& spec, Store** store, OpenConflict* conflict) {
  *store = nullptr;
  Registry& registry = TheRegistry();
  std::unique_lock<std::mutex> lock(registry.mutex);
  registry.AdoptProcess();
  registry.changed.wait(lock, [&] { return !registry.IsBusy(spec.name, spec.file); });
  const auto found = registry.stores.find(spec.name);
  if (found != registry.stores.end()) {
    Store* const there = found->second.store;
    if (there->spec_.schema_text != spec.schema_text) {
      conflict->other_schema = there->spec_.schema_text;
      return {};
    }
    there->Retain();
    there->attachments_++;
    *store = there;
    return {};
  }
  const std::string name = spec.name;
  Registered& entry = registry.stores[name];  // a map keeps the address of an entry
  entry.file = spec.file;
  lock.unlock();

  Store* made = nullptr;
  Status status;
  try {
    made = new Store(std::move(spec));
    status = made->Create(conflict);
  } catch (const std::bad_alloc&) {
    status = {Code::kMemory, ENOMEM, "malloc"};
  }
  if (!status.ok() && made != nullptr) made->Unreference();

  lock.lock();
  if (status.ok()) {
    made->attachments_ = 1;
    entry.store = made;
    *store = made;
  } else {
    registry.stores.erase(name);
  }
  registry.changed.notify_all();
  return status;
}

void Store::Detach(const Ending& ending, bool awaits_exit) {
  Registry& registry = TheRegistry();
  bool last;
  {
    std::lock_guard<std::mutex> lock(registry.mutex);
    last = --attachments_ == 0;
    const auto found = registry.stores.find(spec_.name);
    if (last && found != registry.stores.end() && found->second.store == this) found->second.is_closing = true;
  }
  if (last) {
    Close(ending, awaits_exit);
    std::lock_guard<std::mutex> lock(registry.mutex);
    const auto found = registry.stores.find(spec_.name);
    if (found != registry.stores.end() && found->second.store == this) registry.stores.erase(found);
    registry.changed.notify_all();
  }
  Unreference();
}

}  // namespace vmm

#include "store/copies.h"

#include <link.h>

#include <mutex>
#include <set>

#include "crash/handler.h"
#include "crash/sibling.h"
#include "store/store.h"

namespace vmm {

namespace {

struct Copy {
  const Sibling* sibling;
  std::string addon;
};

// Collects the names of loaded addons, and does no more, since dl_iterate_phdr holds the loader's lock.
int AddName(dl_phdr_info* info, size_t, void* names) {
  const std::string name = info->dlpi_name == nullptr ? "" : info->dlpi_name;
  const std::string ending = ".node";
  if (name.size() > ending.size() && name.compare(name.size() - ending.size(), ending.size(), ending) == 0)
    static_cast<std::vector<std::string>*>(names)->push_back(name);
  return 0;
}

std::vector<Copy> OtherCopies() {
  std::vector<std::string> names;
  dl_iterate_phdr(AddName, &names);
  std::vector<Copy> copies;
  for (const std::string& name : names) {
    if (const Sibling* sibling = SiblingIn(name.c_str()); sibling != nullptr) copies.push_back({sibling, name});
  }
  return copies;
}

struct Visit {
  std::vector<OpenStore>* stores;
  const std::string* addon;
};

void AddStore(void* context, const char* name, uint64_t schema_fingerprint) {
  const Visit* const visit = static_cast<Visit*>(context);
  visit->stores->push_back({name, schema_fingerprint, *visit->addon});
}

}  // namespace

std::vector<OpenStore> OpenStores() {
  std::vector<OpenStore> stores;
  const std::string ours;
  Visit visit = {&stores, &ours};
  VisitOpenStores(AddStore, &visit);
  for (const Copy& copy : OtherCopies()) {
    visit.addon = &copy.addon;
    copy.sibling->visit_stores(AddStore, &visit);
  }
  return stores;
}

bool IsFirst(const std::string& text) {
  bool is_first = NoteFirst(text.c_str());
  for (const Copy& copy : OtherCopies()) is_first = copy.sibling->note_first(text.c_str()) && is_first;
  return is_first;
}

void VisitOpenStores(void (*visit)(void* context, const char* name, uint64_t schema_fingerprint), void* context) {
  Store::VisitOpen(visit, context);
}

bool NoteFirst(const char* text) {
  // Leaked on purpose: a worker thread may still call this while statics are destroyed.
  static std::mutex* const mutex = new std::mutex;
  static std::set<std::string>* const noted = new std::set<std::string>;
  const std::lock_guard<std::mutex> lock(*mutex);
  return noted->insert(text).second;
}

}  // namespace vmm

const vmm::Sibling vmm_metrics_sibling = {
    sizeof(vmm::Sibling), 0, vmm::HandleSignal, vmm::IsDeadlyHere, vmm::RepairHere, vmm::VisitOpenStores, vmm::NoteFirst};

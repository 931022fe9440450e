#include "crash/sibling.h"

#include <dlfcn.h>

namespace vmm {

const Sibling* SiblingIn(const char* path) {
  void* const library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return nullptr;
  const Sibling* const sibling = static_cast<const Sibling*>(dlsym(library, "vmm_metrics_sibling"));
  dlclose(library);  // the library stays loaded: this only undoes dlopen()
  const bool is_other = sibling != nullptr && sibling != &vmm_metrics_sibling && sibling->bytes >= sizeof(Sibling);
  return is_other ? sibling : nullptr;
}

const Sibling* SiblingOf(const struct sigaction& action) {
  if ((action.sa_flags & SA_SIGINFO) == 0) return nullptr;
  Dl_info found;
  if (dladdr(reinterpret_cast<void*>(action.sa_sigaction), &found) == 0 || found.dli_fname == nullptr) return nullptr;
  const Sibling* const sibling = SiblingIn(found.dli_fname);
  return sibling != nullptr && sibling->handler == action.sa_sigaction ? sibling : nullptr;
}

}  // namespace vmm

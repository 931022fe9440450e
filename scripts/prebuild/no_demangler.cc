// Only in the prebuilt addons, which contain the C++ library. Its handler for uncaught exceptions prints the
// exception's type, and demangles the name of the type first. The demangler would be a third of the addon. This
// function takes its place at the link, and says that it failed, so that the handler prints the mangled name.

#include <cstddef>

extern "C" __attribute__((visibility("hidden"))) char* __cxa_demangle(const char*, char*, size_t*, int* status) {
  if (status != nullptr) *status = -1;  // "a memory allocation failure occurred"
  return nullptr;
}

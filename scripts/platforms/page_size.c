// Preloaded into a process: tells the addon, and getconf(1), that a page has 64 KiB. Node keeps the real size.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

static int has_large_pages(const char* path) {
  const char* slash = strrchr(path, '/');
  const char* name = slash == NULL ? path : slash + 1;
  return strcmp(name, "vmm_metrics.node") == 0 || strcmp(name, "getconf") == 0;
}

long sysconf(int name) {
  Dl_info caller;
  const int is_known = name == _SC_PAGESIZE && dladdr(__builtin_return_address(0), &caller) != 0;
  if (is_known && has_large_pages(caller.dli_fname)) return 64 * 1024;
  long (*next)(int) = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
  return next(name);
}

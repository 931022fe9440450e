// The sources of a program that is no Node and defines every function of Node-API, so that an addon can be linked with
// it or loaded by it.

import { createRequire } from 'node:module';

const { symbols } = createRequire(import.meta.url)('node-api-headers');

/** Definitions of all functions of Node-API 8. They do nothing. */
export function definitions() {
  const { js_native_api_symbols: js, node_api_symbols: node } = symbols.v8;
  return [...js, ...node].map((name) => `int ${name}(void) { return 0; }\n`).join('');
}

/** A main() that loads the addon its argument names, and looks up its two functions and the object of this copy. */
export const LOADER = `
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char** argv) {
  void* addon = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
  const char* names[] = {"napi_register_module_v1", "node_api_module_get_api_version_v1", "vmm_metrics_sibling"};
  for (int i = 0; addon != NULL && i < 3; i++) {
    if (dlsym(addon, names[i]) == NULL) addon = NULL;
  }
  if (addon == NULL) {
    const char* error = dlerror();
    fprintf(stderr, "%s\\n", error == NULL ? "wrong arguments" : error);
    return 1;
  }
  int (*version)(void) = (int (*)(void))dlsym(addon, names[1]);
  printf("Node-API %d\\n", version());
  return 0;
}
`;

// The copies of this addon in the process: this one, and others that came with a second installation of the package or
// with a bundle. Each copy has its own stores, which surprises users. So each copy can list the stores of all copies,
// for a warning.
//
// Thread-safety:       any thread.
// Async-signal-safety: none: takes the loader's lock and those of the registries.
// Lifetime:            per process: an addon is never unloaded.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vmm {

// An open store of this process.
struct OpenStore {
  std::string name;
  uint64_t schema_fingerprint;
  std::string addon;  // the file of the copy that the store belongs to; empty: this copy
};

// The open stores of this copy and of all copies that this one can find.
std::vector<OpenStore> OpenStores();

// Whether this is the first call with this text, in any copy. For warnings that appear once in a process.
bool IsFirst(const std::string& text);

// What this copy's Sibling object offers to the other copies.
void VisitOpenStores(void (*visit)(void* context, const char* name, uint64_t schema_fingerprint), void* context);
bool NoteFirst(const char* text);

}  // namespace vmm

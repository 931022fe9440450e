// Copies of this addon in the process: this one, and others that came with a second installation of the package or with
// a bundle. Stores of one copy are not those of another, which surprises; so each knows of the others' stores, for a
// warning.
//
// Thread-safety:       any thread.
// Async-signal-safety: none: takes the loader's lock and those of the registries.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vmm {

// An open store of this process.
struct OpenStore {
  std::string name;
  uint64_t schema_fingerprint;
  std::string addon;  // the file of the copy that has it; empty: this copy
};

// The open stores of all copies that know one another.
std::vector<OpenStore> OpenStores();

// Whether no copy was asked about this text before. For what is said once a process.
bool IsFirst(const std::string& text);

// This copy's part, for its Sibling object.
void VisitOpenStores(void (*visit)(void* context, const char* name, uint64_t schema_fingerprint), void* context);
bool NoteFirst(const char* text);

}  // namespace vmm

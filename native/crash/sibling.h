// A Sibling is another copy of this library in the process, as the package installed twice has it. Each copy has
// handlers, regions and stores of its own, and exports one object by which the others recognise its handler.
//
// Thread-safety:       any thread.
// Async-signal-safety: handler, is_deadly and repair; nothing else, nor SiblingOf.
// Lifetime:            the object lives as long as the process: the addon is never unloaded.

#pragma once

#include <signal.h>

#include <cstdint>

namespace vmm {

// Copies of different versions read one another's: fields are only added at the end, and `bytes` says how many there
// are.
struct Sibling {
  uint32_t bytes;
  uint32_t reserved;
  // What it installs with sigaction().
  void (*handler)(int signal, siginfo_t* info, void* context);
  // Whether a signal that reaches this handler ends the process, as far as its own earlier dispositions tell. `hops`
  // counts the copies that were asked before, so that two copies above one another do not ask for ever.
  bool (*is_deadly)(int signal, int hops);
  // Whether the memory at `address` belongs to one of its regions, and is there again.
  bool (*repair)(void* address, int hops);
  // For copies.h; no handler calls these.
  void (*visit_stores)(void (*visit)(void* context, const char* name, uint64_t schema_fingerprint), void* context);
  bool (*note_first)(const char* text);
};

constexpr int kSiblingHopsMax = 16;

// The other copy whose handler this is; null for any other handler.
const Sibling* SiblingOf(const struct sigaction& action);

}  // namespace vmm

// This copy's own.
extern "C" __attribute__((visibility("default"))) const vmm::Sibling vmm_metrics_sibling;

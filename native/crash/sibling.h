// A Sibling is another copy of this library in the process, as when the package is installed twice. Each copy has its
// own handlers, regions and stores, and exports one object by which the others recognise its handler.
//
// Thread-safety:       any thread.
// Async-signal-safety: handler, is_deadly and repair are safe; the other members and functions are not.
// Lifetime:            per process: an addon is never unloaded.

#pragma once

#include <signal.h>

#include <cstdint>

namespace vmm {

// Copies of different versions read each other's objects: fields are only added at the end, and `bytes` says how many
// there are.
struct Sibling {
  uint32_t bytes;
  uint32_t reserved;
  // The handler that the copy installs with sigaction().
  void (*handler)(int signal, siginfo_t* info, void* context);
  // Whether a signal that reaches this handler ends the process, as far as the copy's earlier dispositions tell. `hops`
  // counts the copies that were asked before, so that two copies above each other stop asking.
  bool (*is_deadly)(int signal, int hops);
  // When `address` is in one of the copy's regions: replaces the memory that was lost there. False when it is not.
  bool (*repair)(void* address, int hops);
  // For store/copies.h; no handler calls these.
  void (*visit_stores)(void (*visit)(void* context, const char* name, uint64_t schema_fingerprint), void* context);
  bool (*note_first)(const char* text);
};

constexpr int kSiblingHopsMax = 16;

// The other copy that was loaded from this path; null when no library was loaded from it, or that library is no copy,
// or is this copy.
const Sibling* SiblingIn(const char* path);
// The other copy that the handler belongs to; null when it belongs to none.
const Sibling* SiblingOf(const struct sigaction& action);

}  // namespace vmm

// The object of this copy.
extern "C" __attribute__((visibility("default"))) const vmm::Sibling vmm_metrics_sibling;

// How long the tests run that run for a time: the variables VMM_METRICS_SOAK_..., which CONTRIBUTING.md describes.
//
// Thread-safety:       any thread, as long as none changes the environment.
// Async-signal-safety: none.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace vmm {

// The number in a variable, or `otherwise` if the variable is not set.
inline uint64_t SoakNumber(const char* variable, uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoull(text, nullptr, 10);
}

// The length of a storm, for which 10 seconds are long.
inline int64_t StormMs() {
  return 1'000 * static_cast<int64_t>(std::min<uint64_t>(SoakNumber("VMM_METRICS_SOAK_SECONDS", 1), 10));
}

}  // namespace vmm

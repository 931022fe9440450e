// The ids of devices: which ids a store accepts, and how a key is written in the line.
//
// Thread-safety:       any thread.
// Async-signal-safety: none.
// Units:               bytes.

#pragma once

#include <string>

namespace vmm {

// Whether `id` has 1 to 255 bytes of UTF-8 without NUL.
bool IsDeviceId(const std::string& id);

// The text as a JSON string, with its quotes.
std::string JsonString(const std::string& text);

}  // namespace vmm

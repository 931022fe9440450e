// The version of the package that this addon was built from. lib/version.ts has the same, and package.json; a test
// holds them together. A loader that finds an addon of another version refuses it.
//
// Thread-safety:       a constant.
// Async-signal-safety: safe.

#pragma once

namespace vmm {

constexpr char kVersion[] = "0.1.0";

}  // namespace vmm

// The version of the package that this addon was built from. lib/version.ts and package.json state it too, and a test
// compares the three. The loader refuses an addon of another version.
//
// Thread-safety:       a constant.
// Async-signal-safety: safe.

#pragma once

namespace vmm {

constexpr char kVersion[] = "0.2.0";

}  // namespace vmm

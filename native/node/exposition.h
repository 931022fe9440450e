// The texts of expositions, for JavaScript.
//
// Thread-safety:       a JavaScript thread, for its own environment.
// Async-signal-safety: none.

#pragma once

#include "node/node_addon_api.h"

namespace vmm {

// Each of the next three returns a handle, or undefined if the spec is not consistent.
// expositionFamilies(spec): `ExpositionFamiliesSpec` of lib/binding-exposition.ts.
Napi::Value MakeExpositionFamilies(const Napi::CallbackInfo& info);
// expositionSource(families, spec): `ExpositionSourceSpec`.
Napi::Value MakeExpositionSource(const Napi::CallbackInfo& info);
// expositionText(spec): `ExpositionTextSpec`.
Napi::Value MakeExpositionText(const Napi::CallbackInfo& info);
// expositionTextBytes(text): how much memory the text takes.
Napi::Value ExpositionTextBytes(const Napi::CallbackInfo& info);
// readExposition(text): the handle of a reading; undefined after releaseExposition().
Napi::Value ReadExposition(const Napi::CallbackInfo& info);
// releaseExposition(text): frees the memory of the text. Its readings end.
Napi::Value ReleaseExposition(const Napi::CallbackInfo& info);
// writeExposition(reading, out, result): writes the next lines, and to `result` how many bytes were written, and how
// many the next line needs at most; 0 if no line is left.
Napi::Value WriteExposition(const Napi::CallbackInfo& info);

}  // namespace vmm

// An OpenedSink is a sink that closes itself at the end of its test.
//
// Thread-safety:       as Sink.
// Async-signal-safety: none.

#pragma once

#include <string>

#include "flush/sink.h"

namespace vmm {

struct OpenedSink : Sink {
  ~OpenedSink() { Close(); }
  // Returns how many bytes the sink took before it refused more.
  size_t WriteText(const std::string& text) { return Write(text.data(), text.size(), &status); }
  Status status;
};

}  // namespace vmm

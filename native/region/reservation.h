// A Reservation is a range of address space. It takes no memory, and cannot be touched until Use makes parts of it
// usable. In a process that locks its memory (mlockall with MCL_FUTURE), only the parts in use are locked and count
// against RLIMIT_MEMLOCK.
//
// Thread-safety:       Make and Use are called by one thread at a time; the rest by any thread.
// Async-signal-safety: base() and bytes() are safe; the others are not.
// Lifetime:            from Make to destruction; the addresses never change.
// Units:               bytes, whole pages.

#pragma once

#include <cstdint>

#include "base/status.h"

namespace vmm {

class Reservation {
 public:
  enum class Of {
    kFile,     // a shared mapping of a file
    kShared,   // anonymous memory; a second mapping maps the same memory
    kPrivate,  // anonymous memory of this process alone
  };

  Reservation() = default;
  ~Reservation();
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;

  Status Make(uint64_t bytes, Of what, int fd = -1);

  // Makes a part readable and writable. A part of a file needs memory before this call; any other part gets memory when
  // it is touched, or at once in a process that locks its memory. A second call for the same part is harmless. After a
  // failure the part may be usable, but not locked.
  Status Use(uint64_t offset, uint64_t bytes);

  unsigned char* base() const { return base_; }
  uint64_t bytes() const { return bytes_; }
  // Whether the process locked its new memory when Make was called.
  bool is_locked() const { return is_locked_; }

 private:
  Status MapPieces();

  unsigned char* base_ = nullptr;
  uint64_t bytes_ = 0;
  bool is_locked_ = false;
};

}  // namespace vmm

// A Reservation is address space that takes no memory, and cannot be touched, until parts of it are used. It does not
// count as locked where the process locks its memory (mlockall with MCL_FUTURE), and asks for none of RLIMIT_MEMLOCK;
// the parts in use are locked there, as all other memory of the process.
//
// Thread-safety:       Make and Use are called by one thread at a time.
// Async-signal-safety: none, but for the addresses.
// Lifetime:            from Make to destruction; the addresses never change.
// Units:               bytes, whole pages.

#pragma once

#include <cstdint>

#include "base/status.h"

namespace vmm {

class Reservation {
 public:
  enum class Of {
    kFile,    // shared, of a descriptor
    kShared,  // without a file; further mappings are of the same memory
    kPrivate
  };

  Reservation() = default;
  ~Reservation();
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;

  Status Make(uint64_t bytes, Of what, int fd = -1);

  // Makes a part readable and writable. Of a file it has memory already; else it gets memory as it is touched, or at
  // once where the process locks its memory. Again for a part in use is harmless. On failure the part may be in use,
  // but not be locked.
  Status Use(uint64_t offset, uint64_t bytes);

  unsigned char* base() const { return base_; }
  uint64_t bytes() const { return bytes_; }
  // Whether the process locked new memory when this was made.
  bool is_locked() const { return is_locked_; }

 private:
  Status MapPieces();

  unsigned char* base_ = nullptr;
  uint64_t bytes_ = 0;
  bool is_locked_ = false;
};

}  // namespace vmm

// The guest's memory: a file, mapped shared. If another process truncates the file, the next access to the mapping
// raises SIGBUS, as in any VMM whose guest memory is a file.
//
// Thread-safety: the vCPU thread, after Map; the guest itself runs on that thread too.
// Units:         addresses are guest-physical, in bytes.
// Lifetime:      mapped from Map to the destructor, also after the file was removed.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "guest_program.h"

namespace kvm_vmm {

class GuestMemory {
 public:
  GuestMemory() = default;
  ~GuestMemory();
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;

  // Makes the file at `path` kMemoryBytes long, maps it and loads the guest's program. Returns what went wrong, or "".
  std::string Map(const std::string& path);

  uint8_t* base() const { return base_; }

  static bool Contains(uint64_t address, uint64_t bytes) { return bytes <= kMemoryBytes && address <= kMemoryBytes - bytes; }

  // The caller ensures that the address is inside the memory.
  template <typename T>
  T Read(uint64_t address) const {
    T value;
    std::memcpy(&value, base_ + address, sizeof(T));
    return value;
  }
  template <typename T>
  void Write(uint64_t address, const T& value) {
    std::memcpy(base_ + address, &value, sizeof(T));
  }

  // Reads one byte, to touch its page.
  void Touch(uint64_t address) const { static_cast<void>(*static_cast<volatile const uint8_t*>(base_ + address)); }

 private:
  void LoadProgram();

  uint8_t* base_ = nullptr;
};

}  // namespace kvm_vmm

#include "guest_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace kvm_vmm {

GuestMemory::~GuestMemory() {
  if (base_ != nullptr) munmap(base_, kMemoryBytes);
}

std::string GuestMemory::Map(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return "open " + path + ": " + std::strerror(errno);
  // Allocates the pages now, so that a full disk is an error here and not a SIGBUS later.
  const int full = posix_fallocate(fd, 0, kMemoryBytes);
  void* base = full == 0 ? mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
  const int error = full != 0 ? full : errno;
  close(fd);
  if (base == MAP_FAILED) return "mapping " + path + ": " + std::strerror(error);
  base_ = static_cast<uint8_t*>(base);
  LoadProgram();
  return "";
}

void GuestMemory::LoadProgram() {
  std::memset(base_, 0, kMemoryBytes);
  std::memcpy(base_ + kCodeAddress, kGuestCode, sizeof(kGuestCode));
  std::memcpy(base_ + kGreetingAddress, kGreeting, sizeof(kGreeting));
  std::memcpy(base_ + kHeartbeatAddress, kHeartbeat, sizeof(kHeartbeat));
}

}  // namespace kvm_vmm

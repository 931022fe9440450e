// A TinyVm is a virtual machine on /dev/kvm whose vCPUs make exits to user space and do nothing else. Tests and
// benchmarks compare what KVM counts about it.
//
// Thread-safety:       one thread makes it; one thread at a time runs a vCPU.
// Async-signal-safety: none.
// Lifetime:            the descriptors are its own.

#pragma once

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#if defined(__x86_64__)
#include <linux/kvm.h>
#endif

namespace vmm {

#if defined(__x86_64__)

class TinyVm {
 public:
  // Why this machine can run no TinyVm; empty if it can.
  static std::string Problem() {
    TinyVm vm(1);
    return vm.problem_.empty() && !vm.Run(0, 1) ? "the guest made no exit" : vm.problem_;
  }

  explicit TinyVm(int vcpus) { Make(vcpus); }
  ~TinyVm() {
    for (const Vcpu& vcpu : vcpus_) {
      if (vcpu.run != nullptr) munmap(vcpu.run, run_bytes_);
      close(vcpu.fd);
    }
    if (vm_ >= 0) close(vm_);
    if (kvm_ >= 0) close(kvm_);
    if (memory_ != nullptr && memory_ != MAP_FAILED) munmap(memory_, kMemoryBytes);
  }
  TinyVm(const TinyVm&) = delete;
  TinyVm& operator=(const TinyVm&) = delete;

  const std::string& problem() const { return problem_; }
  int vm() const { return vm_; }
  int vcpu(int index) const { return vcpus_[static_cast<size_t>(index)].fd; }

  // Runs the vCPU on the calling thread until it has made `exits` exits. False: the guest made another kind of exit.
  bool Run(int index, uint64_t exits) const {
    const Vcpu& vcpu = vcpus_[static_cast<size_t>(index)];
    while (exits != 0) {
      if (ioctl(vcpu.fd, KVM_RUN, 0) < 0) {
        if (errno == EINTR || errno == EAGAIN) continue;
        return false;
      }
      if (vcpu.run->exit_reason != KVM_EXIT_IO) return false;
      exits--;
    }
    return true;
  }

 private:
  static constexpr size_t kMemoryBytes = 0x2000;
  static constexpr uint16_t kCode = 0x1000;

  struct Vcpu {
    int fd;
    kvm_run* run;
  };

  void Make(int vcpus) {
    kvm_ = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm_ < 0) return Fail("/dev/kvm");
    vm_ = ioctl(kvm_, KVM_CREATE_VM, 0);
    if (vm_ < 0) return Fail("KVM_CREATE_VM");
    // On Intel hosts the kernel needs three pages in the guest's address space.
    if (ioctl(vm_, KVM_SET_TSS_ADDR, 0xfffbd000ul) < 0) return Fail("KVM_SET_TSS_ADDR");
    memory_ = mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) return Fail("mmap");
    const unsigned char code[] = {0xe6, 0x10, 0xeb, 0xfc};  // out 0x10, al; jmp to the out
    memcpy(static_cast<unsigned char*>(memory_) + kCode, code, sizeof(code));
    kvm_userspace_memory_region slot = {};
    slot.memory_size = kMemoryBytes;
    slot.userspace_addr = reinterpret_cast<uintptr_t>(memory_);
    if (ioctl(vm_, KVM_SET_USER_MEMORY_REGION, &slot) < 0) return Fail("KVM_SET_USER_MEMORY_REGION");
    for (int i = 0; i < vcpus && problem_.empty(); i++) AddVcpu(i);
  }

  void Fail(const char* what) { problem_ = std::string(what) + ": " + strerror(errno); }

  void AddVcpu(int number) {
    const int fd = ioctl(vm_, KVM_CREATE_VCPU, number);
    if (fd < 0) return Fail("KVM_CREATE_VCPU");
    vcpus_.push_back({fd, nullptr});
    run_bytes_ = static_cast<size_t>(ioctl(kvm_, KVM_GET_VCPU_MMAP_SIZE, 0));
    void* const run = mmap(nullptr, run_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (run == MAP_FAILED) return Fail("mapping the vCPU");
    vcpus_.back().run = static_cast<kvm_run*>(run);
    kvm_sregs sregs = {};
    if (ioctl(fd, KVM_GET_SREGS, &sregs) < 0) return Fail("KVM_GET_SREGS");
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    if (ioctl(fd, KVM_SET_SREGS, &sregs) < 0) return Fail("KVM_SET_SREGS");
    kvm_regs regs = {};
    regs.rip = kCode;
    regs.rflags = 2;  // bit 1 is always set
    if (ioctl(fd, KVM_SET_REGS, &regs) < 0) return Fail("KVM_SET_REGS");
    // Without an in-kernel interrupt controller, every vCPU is runnable from the start.
  }

  std::string problem_;
  int kvm_ = -1;
  int vm_ = -1;
  void* memory_ = nullptr;
  size_t run_bytes_ = 0;
  std::vector<Vcpu> vcpus_;
};

#else

class TinyVm {
 public:
  static std::string Problem() { return "the guest's code is for x86-64"; }
  explicit TinyVm(int) {}
  const std::string& problem() const { return problem_; }
  int vm() const { return -1; }
  int vcpu(int) const { return -1; }
  bool Run(int, uint64_t) const { return false; }

 private:
  std::string problem_ = Problem();
};

#endif

}  // namespace vmm

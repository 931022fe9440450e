// One virtual CPU on /dev/kvm, in 16-bit real mode, with no interrupt controller.
//
// Thread-safety: call Setup on any thread, Run on the vCPU thread, and Kick on any other thread, also during Run.
// Lifetime:      the guest memory outlives the vCPU.
//
// On machines that are not x86-64 everything compiles, and Setup returns an error.

#pragma once

#include <pthread.h>

#include <cstddef>
#include <string>

#include "exit_handler.h"
#include "guest_memory.h"

struct kvm_run;

namespace kvm_vmm {

// Why this process cannot use /dev/kvm, or "".
std::string KvmProblem();

class KvmVcpu {
 public:
  KvmVcpu() = default;
  ~KvmVcpu();
  KvmVcpu(const KvmVcpu&) = delete;
  KvmVcpu& operator=(const KvmVcpu&) = delete;

  // Makes the virtual machine and its CPU, ready to run the program in `memory`. Returns an error message, or "".
  std::string Setup(const GuestMemory& memory);

  // Runs the guest until the mailbox requests a stop. Returns why the guest ended earlier, or "".
  std::string Run(ExitHandler* handler, const Mailbox& mailbox);

  // For KVM's own statistics. They stay this object's.
  int vm_fd() const { return vm_fd_; }
  int vcpu_fd() const { return vcpu_fd_; }

  // Makes Run leave the guest, even if the guest makes no exits. `thread` is the thread in Run, not yet joined.
  void Kick(pthread_t thread);

 private:
  bool HandleExit(ExitHandler* handler);
  void Interrupt();

  int kvm_fd_ = -1;
  int vm_fd_ = -1;
  int vcpu_fd_ = -1;
  kvm_run* run_ = nullptr;  // shared with the kernel
  size_t run_bytes_ = 0;
  bool interrupt_pending_ = false;
};

}  // namespace kvm_vmm

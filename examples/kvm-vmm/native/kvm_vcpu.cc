#include "kvm_vcpu.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#if defined(__x86_64__)
#include <linux/kvm.h>
#endif

namespace kvm_vmm {

namespace {

void CloseIfOpen(int fd) {
  if (fd >= 0) close(fd);
}

}  // namespace

KvmVcpu::~KvmVcpu() {
  if (run_ != nullptr) munmap(run_, run_bytes_);
  CloseIfOpen(vcpu_fd_);
  CloseIfOpen(vm_fd_);
  CloseIfOpen(kvm_fd_);
}

#if defined(__x86_64__)

namespace {

std::string Failed(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

// The signal that interrupts KVM_RUN. SIGUSR1 would start Node's debugger, and no other code is known to use SIGRTMIN.
// The handler does nothing. It stays installed, and binding.gyp links the addon with nodelete, so its code stays
// mapped.
int KickSignal() { return SIGRTMIN; }

void InstallKickHandler() {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_ONSTACK;  // without SA_RESTART, so that the ioctl returns
  sigaction(KickSignal(), &action, nullptr);
}

}  // namespace

std::string KvmProblem() {
  const int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (fd < 0) return Failed("/dev/kvm");
  const int version = ioctl(fd, KVM_GET_API_VERSION, 0);
  const bool can_stop = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) > 0;
  const int vm_fd = ioctl(fd, KVM_CREATE_VM, 0);
  const std::string problem = version != KVM_API_VERSION ? "/dev/kvm has another API version than this program"
                              : !can_stop                ? "/dev/kvm has no KVM_CAP_IMMEDIATE_EXIT"
                              : vm_fd < 0                ? Failed("KVM_CREATE_VM")
                                                         : "";
  CloseIfOpen(vm_fd);
  close(fd);
  return problem;
}

std::string KvmVcpu::Setup(const GuestMemory& memory) {
  kvm_fd_ = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm_fd_ < 0) return Failed("/dev/kvm");
  vm_fd_ = ioctl(kvm_fd_, KVM_CREATE_VM, 0);
  if (vm_fd_ < 0) return Failed("KVM_CREATE_VM");
  // On Intel hosts the kernel needs three pages. Here they are just below 4 GiB, where they do not overlap the guest.
  if (ioctl(vm_fd_, KVM_SET_TSS_ADDR, 0xfffbd000ul) < 0) return Failed("KVM_SET_TSS_ADDR");

  kvm_userspace_memory_region slot = {};
  slot.memory_size = kMemoryBytes;
  slot.userspace_addr = reinterpret_cast<uintptr_t>(memory.base());
  if (ioctl(vm_fd_, KVM_SET_USER_MEMORY_REGION, &slot) < 0) return Failed("KVM_SET_USER_MEMORY_REGION");

  vcpu_fd_ = ioctl(vm_fd_, KVM_CREATE_VCPU, 0);
  if (vcpu_fd_ < 0) return Failed("KVM_CREATE_VCPU");
  const int run_bytes = ioctl(kvm_fd_, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (run_bytes < 0) return Failed("KVM_GET_VCPU_MMAP_SIZE");
  run_bytes_ = static_cast<size_t>(run_bytes);
  void* run = mmap(nullptr, run_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd_, 0);
  if (run == MAP_FAILED) return Failed("mapping the vCPU");
  run_ = static_cast<kvm_run*>(run);

  // After a reset the CPU is in real mode already, but its code segment points to the BIOS.
  kvm_sregs sregs = {};
  if (ioctl(vcpu_fd_, KVM_GET_SREGS, &sregs) < 0) return Failed("KVM_GET_SREGS");
  sregs.cs.base = 0;
  sregs.cs.selector = 0;
  if (ioctl(vcpu_fd_, KVM_SET_SREGS, &sregs) < 0) return Failed("KVM_SET_SREGS");
  kvm_regs regs = {};
  regs.rip = kCodeAddress;
  regs.rflags = 2;  // bit 1 is always set; interrupts are off
  if (ioctl(vcpu_fd_, KVM_SET_REGS, &regs) < 0) return Failed("KVM_SET_REGS");
  InstallKickHandler();
  return "";
}

std::string KvmVcpu::Run(ExitHandler* handler, const Mailbox& mailbox) {
  while (!mailbox.stop_requested()) {
    if (interrupt_pending_) Interrupt();
    std::string failure;
    if (ioctl(vcpu_fd_, KVM_RUN, 0) < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;  // some signal interrupted the call
      failure = Failed("KVM_RUN");
    } else if (!HandleExit(handler)) {
      failure = "unexpected exit of the guest, reason " + std::to_string(run_->exit_reason);
    }
    if (failure.empty()) continue;
    handler->Fail();
    return failure;
  }
  return "";
}

bool KvmVcpu::HandleExit(ExitHandler* handler) {
  switch (run_->exit_reason) {
    case KVM_EXIT_IO: {
      const bool in = run_->io.direction == KVM_EXIT_IO_IN;
      uint8_t* data = reinterpret_cast<uint8_t*>(run_) + run_->io.data_offset;
      for (uint32_t i = 0; i < run_->io.count; ++i, data += run_->io.size) {
        handler->Handle({in ? ExitKind::kPortIn : ExitKind::kPortOut, run_->io.port, data, run_->io.size});
      }
      break;
    }
    case KVM_EXIT_MMIO: {
      const ExitKind kind = run_->mmio.is_write ? ExitKind::kMmioWrite : ExitKind::kMmioRead;
      if (!handler->Handle({kind, run_->mmio.phys_addr, run_->mmio.data, run_->mmio.len})) return false;
      break;
    }
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN: return true;  // Run() sends the interrupt before the next KVM_RUN
    default: return false;
  }
  if (handler->FinishExit()) interrupt_pending_ = true;
  return true;
}

void KvmVcpu::Interrupt() {
  run_->request_interrupt_window = 1;  // KVM reports when the guest can take the interrupt
  if (!run_->ready_for_interrupt_injection || !run_->if_flag) return;
  kvm_interrupt interrupt = {};
  interrupt.irq = kInterruptVector;
  if (ioctl(vcpu_fd_, KVM_INTERRUPT, &interrupt) < 0) return;  // Run() tries again before the next KVM_RUN
  interrupt_pending_ = false;
  run_->request_interrupt_window = 0;
}

void KvmVcpu::Kick(pthread_t thread) {
  // The flag stops a thread that is about to enter the guest; the signal stops a thread that is inside. The kernel
  // reads the flag on the vCPU thread after the signal has interrupted it, so relaxed is enough.
  __atomic_store_n(&run_->immediate_exit, uint8_t{1}, __ATOMIC_RELAXED);
  pthread_kill(thread, KickSignal());
}

#else

std::string KvmProblem() { return "the guest is x86 code, and this machine is not x86-64"; }
std::string KvmVcpu::Setup(const GuestMemory&) { return KvmProblem(); }
std::string KvmVcpu::Run(ExitHandler*, const Mailbox&) { return KvmProblem(); }
void KvmVcpu::Kick(pthread_t) {}

#endif

}  // namespace kvm_vmm

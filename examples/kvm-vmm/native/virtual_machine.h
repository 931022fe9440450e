// A virtual machine: its memory, its one CPU on a thread of its own, and its mailbox.
//
// Thread-safety: one thread, the JS thread that made it; the vCPU thread is inside.
// Lifetime:      Stop, or the destructor, ends the vCPU thread, unmaps the memory and gives back what the metrics lent.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "guest_memory.h"
#include "kvm_vcpu.h"
#include "mailbox.h"
#include "vmm_counters.h"

namespace kvm_vmm {

struct VirtualMachineOptions {
  std::string memory_file;
  std::string disk;  // id of the block device
  uint32_t exits_per_second = 0;
  bool simulate = false;
};

class VirtualMachine {
 public:
  // `wake` makes the JS thread look into the mailbox. `store` is an attachment, given back by Stop.
  VirtualMachine(vmm_metrics_store store, std::function<void()> wake) : mailbox_(std::move(wake)), store_(store) {}
  ~VirtualMachine() { Stop(); }
  VirtualMachine(const VirtualMachine&) = delete;
  VirtualMachine& operator=(const VirtualMachine&) = delete;

  // Starts the vCPU thread. Once. Returns what went wrong, or "".
  std::string Start(const VirtualMachineOptions& options);

  // Waits for the vCPU thread to end; microseconds, or a few milliseconds when it is being paced. Twice is harmless.
  void Stop();

  Mailbox& mailbox() { return mailbox_; }

 private:
  void RunVcpu(uint32_t exits_per_second);

  Mailbox mailbox_;
  vmm_metrics_store store_;
  VmmCounters counters_;
  std::unique_ptr<GuestMemory> memory_;
  std::unique_ptr<KvmVcpu> vcpu_;  // null: simulated
  std::thread thread_;
};

}  // namespace kvm_vmm

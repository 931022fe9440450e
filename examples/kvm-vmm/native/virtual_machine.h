// A virtual machine: its memory, its mailbox, and its one CPU, which runs on its own thread.
//
// Thread-safety: only the JS thread that made it may call it. The vCPU thread is internal.
// Lifetime:      Stop, or the destructor, ends the vCPU thread, unmaps the memory and detaches from the metrics.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "guest_memory.h"
#include "kvm_vcpu.h"
#include "mailbox.h"
#include "metrics.gen.h"

namespace kvm_vmm {

struct VirtualMachineOptions {
  std::string memory_file;
  std::string disk;  // id of the block device
  uint32_t exits_per_second = 0;
  bool simulate = false;
};

class VirtualMachine {
 public:
  // `wake` makes the JS thread look into the mailbox. Stop detaches `store`.
  VirtualMachine(vmm_metrics_store store, std::function<void()> wake) : mailbox_(std::move(wake)), store_(store) {}
  ~VirtualMachine() { Stop(); }
  VirtualMachine(const VirtualMachine&) = delete;
  VirtualMachine& operator=(const VirtualMachine&) = delete;

  // Starts the vCPU thread. Call it once. Returns an error message, or "".
  std::string Start(const VirtualMachineOptions& options);

  // Waits until the vCPU thread has ended: microseconds, or a few milliseconds if the pacer sleeps. A second call does
  // nothing.
  void Stop();

  Mailbox& mailbox() { return mailbox_; }
  // Null for a simulated guest, and after Stop.
  const KvmVcpu* vcpu() const { return vcpu_.get(); }

 private:
  void RunVcpu(uint32_t exits_per_second);

  Mailbox mailbox_;
  vmm_metrics_store store_;
  metrics::block::Device disk_;
  std::unique_ptr<GuestMemory> memory_;
  std::unique_ptr<KvmVcpu> vcpu_;  // null for a simulated guest
  std::thread thread_;
};

}  // namespace kvm_vmm

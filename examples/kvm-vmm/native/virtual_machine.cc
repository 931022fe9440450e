#include "virtual_machine.h"

#include "simulated_guest.h"

namespace kvm_vmm {

std::string VirtualMachine::Start(const VirtualMachineOptions& options) {
  std::string problem;
  disk_ = metrics::block::alloc(store_, options.disk, &problem);
  if (!problem.empty()) return problem;
  memory_ = std::make_unique<GuestMemory>();
  problem = memory_->Map(options.memory_file);
  if (!problem.empty()) return problem;
  if (!options.simulate) {
    vcpu_ = std::make_unique<KvmVcpu>();
    problem = vcpu_->Setup(*memory_);
    if (!problem.empty()) return problem;
  }
  thread_ = std::thread([this, rate = options.exits_per_second] { RunVcpu(rate); });
  return "";
}

void VirtualMachine::Stop() {
  if (thread_.joinable()) {
    mailbox_.RequestStop();
    if (vcpu_) vcpu_->Kick(thread_.native_handle());
    thread_.join();
  }
  vcpu_.reset();
  memory_.reset();
  vmm_metrics_detach(&store_);  // no thread counts any more
}

// The vCPU thread. Claiming a shard gives the thread an alternate signal stack, so that a crash on this thread is
// captured, even a stack overflow.
void VirtualMachine::RunVcpu(uint32_t exits_per_second) {
  const vmm_metrics::Shard shard(store_);
  ExitHandler handler(memory_.get(), &mailbox_, disk_, shard, exits_per_second);
  if (vcpu_) {
    std::string reason = vcpu_->Run(&handler, mailbox_);
    if (!reason.empty()) mailbox_.PostEnd(std::move(reason));
  } else {
    SimulatedGuest(memory_.get(), &handler, mailbox_).Run();
  }
}

}  // namespace kvm_vmm

// Handles a guest exit: counts it, times it, and calls the device. All exits come through here, those of KVM and those
// of the simulated guest.
//
// Thread-safety: the vCPU thread only.
// Units:         latencies are microseconds, from the exit until the guest could go on, without pacing.

#pragma once

#include <cstdint>

#include "block_queue.h"
#include "pacer.h"

namespace kvm_vmm {

enum class ExitKind { kPortIn, kPortOut, kMmioRead, kMmioWrite };

struct Exit {
  ExitKind kind;
  uint64_t address;  // port number or guest-physical address
  uint8_t* data;     // the data that the guest writes, or the buffer for its read
  uint32_t bytes;
};

class ExitHandler {
 public:
  ExitHandler(GuestMemory* memory, Mailbox* mailbox, const metrics::block::Device& disk, const vmm_metrics::Shard& shard,
              uint32_t exits_per_second)
      : memory_(memory),
        mailbox_(mailbox),
        disk_(disk),
        shard_(shard),
        queue_(memory, mailbox, disk, shard),
        pacer_(exits_per_second) {}

  // False if no device can explain the exit: an MMIO access inside the guest's memory.
  bool Handle(const Exit& exit);

  // Call it after Handle, before the guest goes on. True if the guest needs an interrupt.
  bool FinishExit();

  // The vCPU cannot go on. Counts the failure, and reads all of the guest's memory, as a dump would. If the memory is
  // gone, this read raises the SIGBUS: KVM itself only returns EFAULT for a missing page of the guest.
  void Fail();

 private:
  void PortIn(const Exit& exit);
  void PortOut(const Exit& exit);
  void MmioRead(const Exit& exit);
  void MmioWrite(const Exit& exit);

  GuestMemory* const memory_;
  Mailbox* const mailbox_;
  const metrics::block::Device& disk_;
  const vmm_metrics::Shard& shard_;
  BlockQueue queue_;
  Pacer pacer_;
};

}  // namespace kvm_vmm

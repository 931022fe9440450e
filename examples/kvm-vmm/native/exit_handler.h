// What the VMM does when the guest leaves: counts and times the exit, and lets the device do its part. The one path for
// exits, whether KVM or the simulated guest made them.
//
// Thread-safety: the vCPU thread only.
// Units:         latencies are microseconds, from the exit to the moment the guest could go on; pacing is not in them.

#pragma once

#include <cstdint>

#include "block_queue.h"
#include "pacer.h"

namespace kvm_vmm {

enum class ExitKind { kPortIn, kPortOut, kMmioRead, kMmioWrite };

struct Exit {
  ExitKind kind;
  uint64_t address;  // port number or guest-physical address
  uint8_t* data;     // what the guest writes, or where its read goes
  uint32_t bytes;
};

class ExitHandler {
 public:
  ExitHandler(GuestMemory* memory, Mailbox* mailbox, const VmmCounters& counters, const vmm_metrics::Shard& shard,
              uint32_t exits_per_second)
      : memory_(memory),
        mailbox_(mailbox),
        counters_(counters),
        shard_(shard),
        queue_(memory, mailbox, counters, shard),
        pacer_(exits_per_second) {}

  // False when the exit is none that a device explains: an MMIO access inside the guest's memory.
  bool Handle(const Exit& exit);

  // To be called after Handle, before the guest goes on. True when the guest is to be interrupted.
  bool FinishExit();

  // The vCPU cannot go on. Counts that, and reads through the guest's memory, as for a dump of it. Where memory is
  // gone, this is where the thread gets its SIGBUS: KVM only says EFAULT when it misses a page of the guest's.
  void Fail();

 private:
  void PortIn(const Exit& exit);
  void PortOut(const Exit& exit);
  void MmioRead(const Exit& exit);
  void MmioWrite(const Exit& exit);

  GuestMemory* const memory_;
  Mailbox* const mailbox_;
  const VmmCounters& counters_;
  const vmm_metrics::Shard& shard_;
  BlockQueue queue_;
  Pacer pacer_;
};

}  // namespace kvm_vmm

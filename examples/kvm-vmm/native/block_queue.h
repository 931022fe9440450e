// The native half of the block device: takes requests out of a ring in guest memory and hands them to the device in
// TypeScript, and copies what that has done back to the guest. A much simplified virtio queue.
//
// In guest memory, at kQueueAddress:  u16 submitted, written by the guest
//                                     u16 completed, written here
//                                     kQueueSize descriptors, from +0x10; request n is in descriptor n % kQueueSize
//
// Thread-safety: the vCPU thread only.

#pragma once

#include <cstddef>
#include <cstdint>

#include "guest_memory.h"
#include "mailbox.h"
#include "vmm_counters.h"

namespace kvm_vmm {

struct Descriptor {
  uint16_t operation;  // 0 read, 1 write
  uint16_t bytes;
  uint32_t address;
  uint32_t sector;
  uint16_t next;  // of a chain; only FollowChain looks at it
  uint16_t unused;
};
// guest_program.h writes the fields by these offsets.
static_assert(sizeof(Descriptor) == 16 && offsetof(Descriptor, bytes) == 2 && offsetof(Descriptor, address) == 4 &&
              offsetof(Descriptor, sector) == 8);

class BlockQueue {
 public:
  BlockQueue(GuestMemory* memory, Mailbox* mailbox, const VmmCounters& counters, const vmm_metrics::Shard& shard)
      : memory_(memory), mailbox_(mailbox), counters_(counters), shard_(shard) {}

  // The guest rang: takes what it has submitted. Requests that do not fit are taken at a later notification.
  void Notify();

  // Gives the guest what the device has done since the last call. True when there was something to give.
  bool Deliver();

  // The mistake that `--overflow` shows: believes the chain that the guest wrote, however long. It gets one that loops.
  void FollowEndlessChain();

 private:
  uint32_t FollowChain(uint16_t index);
  bool Take(const Descriptor& descriptor, uint32_t index, BlockSlot* slot);

  GuestMemory* const memory_;
  Mailbox* const mailbox_;
  const VmmCounters& counters_;
  const vmm_metrics::Shard& shard_;
  uint16_t taken_ = 0;      // requests, running freely like the guest's own
  uint16_t completed_ = 0;  // of these, given back
};

}  // namespace kvm_vmm

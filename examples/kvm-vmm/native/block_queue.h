// The native half of the block device, a much simplified virtio queue. It takes requests out of a ring in guest memory,
// hands them to the device in TypeScript, and copies the results back to the guest.
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
#include "metrics.gen.h"

namespace kvm_vmm {

struct Descriptor {
  uint16_t operation;  // 0 read, 1 write
  uint16_t bytes;
  uint32_t address;
  uint32_t sector;
  uint16_t next;  // the next descriptor of a chain; only FollowChain reads it
  uint16_t unused;
};
// The guest's machine code in guest_program.h uses these offsets.
static_assert(sizeof(Descriptor) == 16 && offsetof(Descriptor, bytes) == 2 && offsetof(Descriptor, address) == 4 &&
              offsetof(Descriptor, sector) == 8);

class BlockQueue {
 public:
  BlockQueue(GuestMemory* memory, Mailbox* mailbox, const metrics::block::Device& disk, const vmm_metrics::Shard& shard)
      : memory_(memory), mailbox_(mailbox), disk_(disk), shard_(shard) {}

  // Takes the requests that the guest has submitted. Called when the guest notifies the device. Requests that do not
  // fit wait for a later notification.
  void Notify();

  // Copies the results since the last call to the guest. True if there were any.
  bool Deliver();

  // The deliberate bug behind `--overflow`: follows a chain of descriptors that the guest wrote, without a bound on its
  // length. The chain loops, so the stack overflows.
  void FollowEndlessChain();

 private:
  uint32_t FollowChain(uint16_t index);
  bool Take(const Descriptor& descriptor, uint32_t index, BlockSlot* slot);

  GuestMemory* const memory_;
  Mailbox* const mailbox_;
  const metrics::block::Device& disk_;
  const vmm_metrics::Shard& shard_;
  uint16_t taken_ = 0;      // how many requests were taken; wraps, like the guest's own counters
  uint16_t completed_ = 0;  // how many of them were given back
};

}  // namespace kvm_vmm

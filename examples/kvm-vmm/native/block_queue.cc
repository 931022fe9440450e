#include "block_queue.h"

#include <cstring>

namespace kvm_vmm {

namespace {
constexpr uint64_t kSubmittedAddress = kQueueAddress;
constexpr uint64_t kCompletedAddress = kQueueAddress + 2;
constexpr uint64_t DescriptorAddress(uint32_t index) { return kQueueAddress + 0x10 + index * sizeof(Descriptor); }
constexpr uint16_t kWrite = 1;
constexpr uint16_t kEndOfChain = 0xffff;

static_assert(DescriptorAddress(kQueueSize) <= kInterruptsAddress);
static_assert(kBuffersAddress + kQueueSize * kSectorBytes <= kStackTop);
}  // namespace

void BlockQueue::Notify() {
  disk_.queue_event_count.inc(shard_);
  const auto submitted = memory_->Read<uint16_t>(kSubmittedAddress);
  if (submitted == taken_) disk_.no_avail_buffer.inc(shard_);
  while (submitted != taken_) {
    const uint32_t index = taken_ % kQueueSize;
    // A guest that submits more than the queue holds waits for its own earlier request. Relaxed: this thread freed it.
    BlockSlot* slot = &mailbox_->slots[index];
    if (slot->state.load(std::memory_order_relaxed) != BlockSlot::kFree) return;
    if (!Take(memory_->Read<Descriptor>(DescriptorAddress(index)), index, slot)) return;
    ++taken_;
  }
}

// False if the device is too far behind.
bool BlockQueue::Take(const Descriptor& descriptor, uint32_t index, BlockSlot* slot) {
  slot->operation = descriptor.operation;
  slot->address = descriptor.address;
  slot->bytes = descriptor.bytes;
  slot->failed = descriptor.operation > kWrite || descriptor.bytes > kSectorBytes ||
                 !GuestMemory::Contains(descriptor.address, descriptor.bytes);
  if (slot->failed) {  // the guest's fault: its address lies outside its memory
    disk_.invalid_reqs_count.inc(shard_);
    slot->state.store(BlockSlot::kDone, std::memory_order_relaxed);  // only this thread reads it, in Deliver
    return true;
  }
  if (descriptor.operation == kWrite) std::memcpy(slot->data.data(), memory_->base() + descriptor.address, descriptor.bytes);
  slot->state.store(BlockSlot::kAtDevice, std::memory_order_release);  // publishes the slot to the JS thread
  if (mailbox_->Post({kBlockRequest, index, descriptor.operation, descriptor.sector, descriptor.bytes})) return true;
  slot->state.store(BlockSlot::kFree, std::memory_order_relaxed);  // no other thread has seen the slot
  disk_.io_engine_throttled_events.inc(shard_);
  return false;
}

bool BlockQueue::Deliver() {
  bool any = false;
  for (; completed_ != taken_; ++completed_, any = true) {
    BlockSlot* slot = &mailbox_->slots[completed_ % kQueueSize];
    // Acquire: pairs with the release by which the JS thread hands the data over.
    if (slot->state.load(std::memory_order_acquire) != BlockSlot::kDone) break;
    if (slot->operation != kWrite && !slot->failed) {
      std::memcpy(memory_->base() + slot->address, slot->data.data(), slot->bytes);
    }
    slot->state.store(BlockSlot::kFree, std::memory_order_relaxed);  // only this thread reads it, in Notify
  }
  if (any) memory_->Write<uint16_t>(kCompletedAddress, completed_);
  return any;
}

void BlockQueue::FollowEndlessChain() {
  auto first = memory_->Read<Descriptor>(DescriptorAddress(0));
  first.next = 0;
  memory_->Write(DescriptorAddress(0), first);
  memory_->Write(kBuffersAddress, FollowChain(0));  // uses the result, so that the compiler keeps every call
}

// Counts the bytes of a chain. The recursion has no bound: that is the deliberate bug.
__attribute__((noinline)) uint32_t BlockQueue::FollowChain(uint16_t index) {
  volatile uint8_t copy[kSectorBytes];  // makes each stack frame large
  copy[0] = 0;
  const auto descriptor = memory_->Read<Descriptor>(DescriptorAddress(index % kQueueSize));
  if (descriptor.next == kEndOfChain) return descriptor.bytes;
  return FollowChain(descriptor.next) + descriptor.bytes + copy[0];
}

}  // namespace kvm_vmm

#include "exit_handler.h"

#include <cstring>

namespace kvm_vmm {

namespace {
constexpr uint64_t kPageBytes = 4096;        // the smallest page size, so that the loop touches every page
constexpr uint8_t kDataReady = 0x01;         // line status: a received byte is ready
constexpr uint8_t kTransmitterEmpty = 0x60;  // line status: ready to send, and everything was sent; always set here
constexpr uint8_t kNothingThere = 0xff;      // the value of a bus without a device
}  // namespace

bool ExitHandler::Handle(const Exit& exit) {
  switch (exit.kind) {
    case ExitKind::kPortIn: {
      const vmm_metrics::LatencyRecord record(shard_, metrics::vcpu::exit_io_in_agg);
      metrics::vcpu::exit_io_in.inc(shard_);
      PortIn(exit);
      return true;
    }
    case ExitKind::kPortOut: {
      const vmm_metrics::LatencyRecord record(shard_, metrics::vcpu::exit_io_out_agg);
      metrics::vcpu::exit_io_out.inc(shard_);
      PortOut(exit);
      return true;
    }
    case ExitKind::kMmioRead: {
      if (GuestMemory::Contains(exit.address, exit.bytes)) return false;
      const vmm_metrics::LatencyRecord record(shard_, metrics::vcpu::exit_mmio_read_agg);
      metrics::vcpu::exit_mmio_read.inc(shard_);
      MmioRead(exit);
      return true;
    }
    case ExitKind::kMmioWrite: {
      if (GuestMemory::Contains(exit.address, exit.bytes)) return false;
      const vmm_metrics::LatencyRecord record(shard_, metrics::vcpu::exit_mmio_write_agg);
      metrics::vcpu::exit_mmio_write.inc(shard_);
      MmioWrite(exit);
      return true;
    }
  }
  return false;
}

bool ExitHandler::FinishExit() {
  const bool delivered = queue_.Deliver();
  if (delivered) metrics::interrupts::triggers.inc(shard_);
  if (mailbox_->overflow_requested()) queue_.FollowEndlessChain();
  pacer_.AfterExit(*mailbox_);
  return delivered;
}

void ExitHandler::Fail() {
  metrics::vcpu::failures.inc(shard_);
  for (uint64_t address = 0; address < kMemoryBytes; address += kPageBytes) memory_->Touch(address);
}

void ExitHandler::PortIn(const Exit& exit) {
  std::memset(exit.data, kNothingThere, exit.bytes);
  if (exit.address == kSerialLineStatus) {
    exit.data[0] = kTransmitterEmpty | (mailbox_->serial_input.HasNews() ? kDataReady : 0);
  } else if (exit.address == kSerialData && mailbox_->serial_input.Pop(exit.data)) {
    metrics::uart::read_count.inc(shard_);
  }
}

void ExitHandler::PortOut(const Exit& exit) {
  if (exit.address != kSerialData) return;  // no device: nothing listens to kProgressCode either, as on most PCs
  // A vCPU never waits for a device. If the JS thread is too far behind, the byte is lost, and counted.
  const bool posted = mailbox_->Post({kSerialOut, exit.data[0], 0, 0, 0});
  (posted ? metrics::uart::write_count : metrics::uart::missed_write_count).inc(shard_);
}

void ExitHandler::MmioRead(const Exit& exit) {
  std::memset(exit.data, kNothingThere, exit.bytes);
  if (exit.address == kMmioAddress + kSectorsRegister && exit.bytes == sizeof(uint32_t)) {
    const uint32_t sectors = mailbox_->sectors.load(std::memory_order_relaxed);  // the register publishes nothing but itself
    std::memcpy(exit.data, &sectors, sizeof(sectors));
  }
}

void ExitHandler::MmioWrite(const Exit& exit) {
  if (exit.address < kMmioAddress || exit.address >= kMmioAddress + kMmioBytes) return;  // no device at this address
  const auto device_register = static_cast<uint32_t>(exit.address - kMmioAddress);
  if (device_register == kNotifyRegister) {
    queue_.Notify();
  } else {
    uint32_t value = 0;
    std::memcpy(&value, exit.data, exit.bytes < sizeof(value) ? exit.bytes : sizeof(value));
    mailbox_->Post({kMmioWrite, device_register, value, 0, 0});
  }
}

}  // namespace kvm_vmm

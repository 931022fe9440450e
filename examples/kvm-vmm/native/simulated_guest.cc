#include "simulated_guest.h"

namespace kvm_vmm {

namespace {
constexpr uint64_t kSubmitted = kQueueAddress;
constexpr uint64_t kCompleted = kQueueAddress + 2;
}  // namespace

void SimulatedGuest::Run() {
  WriteRegister(kBootTimer, kBootDone, 1);
  Print(kGreetingAddress);
  memory_->Write(kSectorsAddress, ReadRegister(kSectorsRegister));
  Submit();
  while (memory_->Read<uint16_t>(kCompleted) != 1) {
    if (mailbox_.stop_requested()) return;
    PollSerial();
  }
  Print(kBuffersAddress);
  for (;;) {
    for (uint16_t countdown = kIterationsPerBeat; countdown > 0; --countdown) {
      if (mailbox_.stop_requested()) return;
      memory_->Write(kCountdownAddress, countdown);
      PollSerial();
      Out(kProgressCode, Lo(countdown));
      Submit();
      memory_->Write(kSectorsAddress, ReadRegister(kSectorsRegister));
    }
    CountBeat();
    Print(kHeartbeatAddress);
    WriteRegister(kFlushRegister, 1, 1);
  }
}

void SimulatedGuest::Print(uint64_t address) {
  for (uint8_t c = memory_->Read<uint8_t>(address); c != 0; c = memory_->Read<uint8_t>(++address)) Out(kSerialData, c);
}

void SimulatedGuest::PollSerial() {
  if ((In(kSerialLineStatus) & 1) != 0) Out(kSerialData, In(kSerialData));
}

void SimulatedGuest::Submit() {
  const auto submitted = memory_->Read<uint16_t>(kSubmitted);
  if (static_cast<uint16_t>(submitted - memory_->Read<uint16_t>(kCompleted)) < kQueueSize) {
    const uint32_t index = submitted % kQueueSize;
    Descriptor descriptor = {};
    descriptor.operation = index == kQueueSize - 1 ? 1 : 0;
    descriptor.bytes = kSectorBytes;
    descriptor.address = kBuffersAddress + index * kSectorBytes;
    descriptor.sector = submitted % 64;
    memory_->Write(kQueueAddress + 0x10 + index * sizeof(Descriptor), descriptor);
    memory_->Write(kSubmitted, static_cast<uint16_t>(submitted + 1));
  }
  WriteRegister(kNotifyRegister, submitted, 2);
}

void SimulatedGuest::CountBeat() {
  for (uint64_t digit = kHeartbeatLastDigit;; --digit) {
    const auto next = static_cast<uint8_t>(memory_->Read<uint8_t>(digit) + 1);
    memory_->Write(digit, next > '9' ? uint8_t{'0'} : next);
    if (next <= '9') return;
  }
}

uint8_t SimulatedGuest::In(uint16_t port) {
  uint8_t value = 0;
  Leave(ExitKind::kPortIn, port, &value, sizeof(value));
  return value;
}

void SimulatedGuest::Out(uint16_t port, uint8_t value) { Leave(ExitKind::kPortOut, port, &value, sizeof(value)); }

uint32_t SimulatedGuest::ReadRegister(uint16_t device_register) {
  uint32_t value = 0;
  Leave(ExitKind::kMmioRead, kMmioAddress + device_register, &value, sizeof(value));
  return value;
}

void SimulatedGuest::WriteRegister(uint16_t device_register, uint16_t value, uint32_t bytes) {
  Leave(ExitKind::kMmioWrite, kMmioAddress + device_register, &value, bytes);
}

void SimulatedGuest::Leave(ExitKind kind, uint64_t address, void* data, uint32_t bytes) {
  handler_->Handle({kind, address, static_cast<uint8_t*>(data), bytes});
  if (!handler_->FinishExit()) return;
  // The interrupt handler of the guest.
  memory_->Write<uint16_t>(kInterruptsAddress, static_cast<uint16_t>(memory_->Read<uint16_t>(kInterruptsAddress) + 1));
}

}  // namespace kvm_vmm

// The guest's program in C++, for machines without KVM. It makes the same exits in the same order through the same exit
// handler, and uses the same guest memory.
//
// Thread-safety: the vCPU thread only.

#pragma once

#include <cstdint>

#include "exit_handler.h"
#include "guest_memory.h"

namespace kvm_vmm {

class SimulatedGuest {
 public:
  SimulatedGuest(GuestMemory* memory, ExitHandler* handler, const Mailbox& mailbox)
      : memory_(memory), handler_(handler), mailbox_(mailbox) {}

  // Runs until the mailbox requests a stop.
  void Run();

 private:
  // The routines of guest_program.h.
  void Print(uint64_t address);
  void PollSerial();
  void Submit();
  void CountBeat();

  // The instructions that cause an exit.
  uint8_t In(uint16_t port);
  void Out(uint16_t port, uint8_t value);
  uint32_t ReadRegister(uint16_t device_register);
  void WriteRegister(uint16_t device_register, uint16_t value, uint32_t bytes);
  void Leave(ExitKind kind, uint64_t address, void* data, uint32_t bytes);

  GuestMemory* const memory_;
  ExitHandler* const handler_;
  const Mailbox& mailbox_;
};

}  // namespace kvm_vmm

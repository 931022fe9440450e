// The guest: its memory map, and its program in 16-bit real-mode machine code.
//
// The program prints a greeting over the serial port, reads sector 0 of the disk and prints that sector. Then it loops:
// it polls the serial port (and echoes what was typed), writes port 0x80, submits a disk request, and reads a device
// register. Every kIterationsPerBeat iterations it prints a line and flushes the persistent memory. An iteration makes
// four exits. simulated_guest.cc does the same without KVM.
//
// Units: addresses are guest-physical, in bytes. Registers and words are little-endian.

#pragma once

#include <cstddef>
#include <cstdint>

namespace kvm_vmm {

// Memory. Everything above kMemoryBytes is MMIO.
constexpr uint64_t kMemoryBytes = 0x80000;
constexpr uint16_t kInterruptVector = 0x20;
constexpr uint16_t kVectorAddress = kInterruptVector * 4;  // in the interrupt vector table at 0
constexpr uint16_t kCodeAddress = 0x1000;
constexpr uint16_t kGreetingAddress = 0x1800;
constexpr uint16_t kHeartbeatAddress = 0x1880;
constexpr uint16_t kQueueAddress = 0x2000;       // its layout is in block_queue.h
constexpr uint16_t kInterruptsAddress = 0x2200;  // u16, how many interrupts the guest took
constexpr uint16_t kSectorsAddress = 0x2204;     // u32, the size of the disk as last read
constexpr uint16_t kCountdownAddress = 0x2208;   // u16, iterations to the next heartbeat
constexpr uint16_t kBuffersAddress = 0x3000;     // one sector per descriptor of the queue
constexpr uint16_t kStackTop = 0x8000;

// Ports.
constexpr uint16_t kSerialData = 0x3f8;
constexpr uint16_t kSerialLineStatus = 0x3fd;
constexpr uint16_t kProgressCode = 0x80;

// Device registers: the MMIO window is at segment 0xd000.
constexpr uint16_t kMmioSegment = 0xd000;
constexpr uint64_t kMmioAddress = uint64_t{kMmioSegment} * 16;
constexpr uint16_t kNotifyRegister = 0x00;   // write: the block queue has new requests
constexpr uint16_t kSectorsRegister = 0x04;  // read: the disk's size in sectors
constexpr uint16_t kBootTimer = 0x08;        // write kBootDone: the guest has booted
constexpr uint16_t kFlushRegister = 0x10;    // write 1: flush the persistent memory
constexpr uint64_t kMmioBytes = 0x20;
constexpr uint8_t kBootDone = 123;

constexpr uint16_t kIterationsPerBeat = 5000;
constexpr char kGreeting[] = "Hello from the guest: 16-bit real mode, one vCPU.\n";
constexpr char kHeartbeat[] = "heartbeat 000000\n";
constexpr uint16_t kHeartbeatLastDigit = kHeartbeatAddress + sizeof(kHeartbeat) - 3;  // before "\n" and NUL

constexpr uint8_t Lo(uint16_t word) { return static_cast<uint8_t>(word & 0xff); }
constexpr uint8_t Hi(uint16_t word) { return static_cast<uint8_t>(word >> 8); }

constexpr uint16_t kInterruptOffset = 0xe0;

// Offsets from kCodeAddress at the left of the comments; ds = ss = 0, es = kMmioSegment throughout.
// clang-format off
constexpr uint8_t kGuestCode[] = {
    // start:
    0x31, 0xc0,                                                        // 00  xor  ax, ax
    0x8e, 0xd8,                                                        // 02  mov  ds, ax
    0x8e, 0xd0,                                                        // 04  mov  ss, ax
    0xbc, Lo(kStackTop), Hi(kStackTop),                                // 06  mov  sp, kStackTop
    0xc7, 0x06, Lo(kVectorAddress), Hi(kVectorAddress),                // 09  mov  word [kVectorAddress],
    Lo(kCodeAddress + kInterruptOffset), Hi(kCodeAddress + kInterruptOffset),  //         interrupt
    0xa3, Lo(kVectorAddress + 2), Hi(kVectorAddress + 2),              // 0f  mov  [kVectorAddress + 2], ax
    0xb8, Lo(kMmioSegment), Hi(kMmioSegment),                          // 12  mov  ax, kMmioSegment
    0x8e, 0xc0,                                                        // 15  mov  es, ax
    0x26, 0xc6, 0x06, Lo(kBootTimer), Hi(kBootTimer), kBootDone,       // 17  mov  byte es:[kBootTimer], kBootDone
    0xbe, Lo(kGreetingAddress), Hi(kGreetingAddress),                  // 1d  mov  si, kGreetingAddress
    0xe8, 0x5b, 0x00,                                                  // 20  call print
    0x26, 0x66, 0xa1, Lo(kSectorsRegister), Hi(kSectorsRegister),      // 23  mov  eax, es:[kSectorsRegister]
    0x66, 0xa3, Lo(kSectorsAddress), Hi(kSectorsAddress),              // 28  mov  [kSectorsAddress], eax
    0xfb,                                                              // 2c  sti
    0xe8, 0x68, 0x00,                                                  // 2d  call submit
    // first:
    0xe8, 0x57, 0x00,                                                  // 30  call poll_serial
    0x83, 0x3e, Lo(kQueueAddress + 2), Hi(kQueueAddress + 2), 0x01,    // 33  cmp  word [queue.completed], 1
    0x75, 0xf6,                                                        // 38  jne  first
    0xbe, Lo(kBuffersAddress), Hi(kBuffersAddress),                    // 3a  mov  si, kBuffersAddress
    0xe8, 0x3e, 0x00,                                                  // 3d  call print
    // beat:
    0xc7, 0x06, Lo(kCountdownAddress), Hi(kCountdownAddress),          // 40  mov  word [kCountdownAddress],
    Lo(kIterationsPerBeat), Hi(kIterationsPerBeat),                    //         kIterationsPerBeat
    // iteration:
    0xe8, 0x41, 0x00,                                                  // 46  call poll_serial
    0xa0, Lo(kCountdownAddress), Hi(kCountdownAddress),                // 49  mov  al, [kCountdownAddress]
    0xe6, kProgressCode,                                               // 4c  out  kProgressCode, al
    0xe8, 0x47, 0x00,                                                  // 4e  call submit
    0x26, 0x66, 0xa1, Lo(kSectorsRegister), Hi(kSectorsRegister),      // 51  mov  eax, es:[kSectorsRegister]
    0x66, 0xa3, Lo(kSectorsAddress), Hi(kSectorsAddress),              // 56  mov  [kSectorsAddress], eax
    0xff, 0x0e, Lo(kCountdownAddress), Hi(kCountdownAddress),          // 5a  dec  word [kCountdownAddress]
    0x75, 0xe6,                                                        // 5e  jnz  iteration
    0xbf, Lo(kHeartbeatLastDigit), Hi(kHeartbeatLastDigit),            // 60  mov  di, kHeartbeatLastDigit
    // carry:
    0xfe, 0x05,                                                        // 63  inc  byte [di]
    0x80, 0x3d, '9',                                                   // 65  cmp  byte [di], '9'
    0x76, 0x06,                                                        // 68  jbe  counted
    0xc6, 0x05, '0',                                                   // 6a  mov  byte [di], '0'
    0x4f,                                                              // 6d  dec  di
    0xeb, 0xf3,                                                        // 6e  jmp  carry
    // counted:
    0xbe, Lo(kHeartbeatAddress), Hi(kHeartbeatAddress),                // 70  mov  si, kHeartbeatAddress
    0xe8, 0x08, 0x00,                                                  // 73  call print
    0x26, 0xc6, 0x06, Lo(kFlushRegister), Hi(kFlushRegister), 0x01,    // 76  mov  byte es:[kFlushRegister], 1
    0xeb, 0xc2,                                                        // 7c  jmp  beat

    // print: the text at si, which ends with a NUL
    0xba, Lo(kSerialData), Hi(kSerialData),                            // 7e  mov  dx, kSerialData
    // next:
    0xac,                                                              // 81  lodsb
    0x84, 0xc0,                                                        // 82  test al, al
    0x74, 0x03,                                                        // 84  jz   printed
    0xee,                                                              // 86  out  dx, al
    0xeb, 0xf8,                                                        // 87  jmp  next
    // printed:
    0xc3,                                                              // 89  ret

    // poll_serial: echoes a byte when one has come
    0xba, Lo(kSerialLineStatus), Hi(kSerialLineStatus),                // 8a  mov  dx, kSerialLineStatus
    0xec,                                                              // 8d  in   al, dx
    0xa8, 0x01,                                                        // 8e  test al, 1
    0x74, 0x05,                                                        // 90  jz   polled
    0xba, Lo(kSerialData), Hi(kSerialData),                            // 92  mov  dx, kSerialData
    0xec,                                                              // 95  in   al, dx
    0xee,                                                              // 96  out  dx, al
    // polled:
    0xc3,                                                              // 97  ret

    // submit: one more disk request when fewer than eight are on their way; the device is notified in any case
    0x8b, 0x0e, Lo(kQueueAddress), Hi(kQueueAddress),                  // 98  mov  cx, [queue.submitted]
    0x89, 0xc8,                                                        // 9c  mov  ax, cx
    0x2b, 0x06, Lo(kQueueAddress + 2), Hi(kQueueAddress + 2),          // 9e  sub  ax, [queue.completed]
    0x83, 0xf8, 0x08,                                                  // a2  cmp  ax, 8
    0x73, 0x33,                                                        // a5  jae  notify
    0x89, 0xcf,                                                        // a7  mov  di, cx
    0x83, 0xe7, 0x07,                                                  // a9  and  di, 7
    0x89, 0xf8,                                                        // ac  mov  ax, di
    0xc1, 0xe0, 0x09,                                                  // ae  shl  ax, 9
    0x05, Lo(kBuffersAddress), Hi(kBuffersAddress),                    // b1  add  ax, kBuffersAddress
    0xc1, 0xe7, 0x04,                                                  // b4  shl  di, 4
    0x89, 0x85, Lo(kQueueAddress + 0x14), Hi(kQueueAddress + 0x14),    // b7  mov  [queue.descriptor[di].address], ax
    0xc7, 0x85, Lo(kQueueAddress + 0x12), Hi(kQueueAddress + 0x12),    // bb  mov  word [queue.descriptor[di].bytes],
    0x00, 0x02,                                                        //         512
    0x31, 0xc0,                                                        // c1  xor  ax, ax
    0x83, 0xff, 0x70,                                                  // c3  cmp  di, 0x70
    0x0f, 0x94, 0xc0,                                                  // c6  sete al        ; every eighth is a write
    0x89, 0x85, Lo(kQueueAddress + 0x10), Hi(kQueueAddress + 0x10),    // c9  mov  [queue.descriptor[di].operation], ax
    0x89, 0xc8,                                                        // cd  mov  ax, cx
    0x83, 0xe0, 0x3f,                                                  // cf  and  ax, 63
    0x89, 0x85, Lo(kQueueAddress + 0x18), Hi(kQueueAddress + 0x18),    // d2  mov  [queue.descriptor[di].sector], ax
    0xff, 0x06, Lo(kQueueAddress), Hi(kQueueAddress),                  // d6  inc  word [queue.submitted]
    // notify:
    0x26, 0x89, 0x0e, Lo(kNotifyRegister), Hi(kNotifyRegister),        // da  mov  es:[kNotifyRegister], cx
    0xc3,                                                              // df  ret

    // interrupt:
    0xff, 0x06, Lo(kInterruptsAddress), Hi(kInterruptsAddress),        // e0  inc  word [kInterruptsAddress]
    0xcf,                                                              // e4  iret
};
// clang-format on

static_assert(sizeof(kGuestCode) == kInterruptOffset + 5, "the interrupt handler is the last five bytes");
static_assert(kCodeAddress + sizeof(kGuestCode) <= kGreetingAddress);
static_assert(kGreetingAddress + sizeof(kGreeting) <= kHeartbeatAddress);
static_assert(kHeartbeatAddress + sizeof(kHeartbeat) <= kQueueAddress);
static_assert(kMmioAddress >= kMemoryBytes, "the device registers lie outside the memory");

}  // namespace kvm_vmm

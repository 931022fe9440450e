// The least that a crash can cost: a process that does nothing but die of SIGSEGV. Usage: bare_crash FILE, where FILE
// has eight bytes for the time of the fault. The pipes that the process was started with end when it dies.

#include "fault_time.h"

int main(int count, char** arguments) {
  volatile int64_t* const fault_ns = count == 2 ? MapFaultTime(arguments[1]) : nullptr;
  if (fault_ns == nullptr) return 1;
  Fault(fault_ns);
}

// The ledger counts the finished increments of each writer in a shared file, which outlives the process. A test
// compares the lines with the increments that were finished before the fault.
//
// Thread-safety:       each slot has one writer; any thread may call MarkFault.
// Async-signal-safety: MarkFault only.
// Units:               words of 32 bits. Word 0 is 1 when the writers must stop. Word 1 says whether a fault makes them
//                      stop. Word 2 is 1 when the worker chosen to die must die. Slot i begins at
//                      word 16 * (i + 1): the finished increments, their number at the fault, and the writer's thread
//                      id.

#pragma once

// Called just before a fault, by the thread that causes the fault. Does nothing if there is no ledger.
void MarkFault();

// The ledger: what each writer has finished, in a shared file that outlives the process, so that a test can hold what
// came out against what was acknowledged before the fault.
//
// Thread-safety:       each slot has one writer; any thread may call MarkFault.
// Async-signal-safety: MarkFault only.
// Units:               words of 32 bits. Word 0: "stop" once the fault is on its way; word 1: whether writers are to
//                      stop then.
// Slot i
//                      begins at word 16 * (i + 1): increments finished, the same at the fault, the writer's thread id.
#pragma once

// Called just before a fault, by the thread that makes it. Nothing happens when there is no ledger.
void MarkFault();

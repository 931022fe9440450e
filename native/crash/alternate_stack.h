// An alternate stack lets a signal handler run on a thread that has used up its own stack.
//
// Thread-safety:       any thread; a stack is made and freed on the thread that it serves.
// Async-signal-safety: none.
// Lifetime:            per thread, and counted: from the first MakeAlternateStack on a thread to the last
//                      FreeAlternateStack there. Each environment and each claimed shard counts once.

#pragma once

namespace vmm {

// Gives the calling thread an alternate stack with a guard page below it. A thread that has such a stack already gets
// the same one again. Null when the host gave the thread an alternate stack that is large enough, or when there is no
// memory; then nothing changes for the thread.
void* MakeAlternateStack();

// Call it once for each MakeAlternateStack, on the same thread. The last call restores what the thread had before. Null
// is harmless.
void FreeAlternateStack(void* stack);

}  // namespace vmm

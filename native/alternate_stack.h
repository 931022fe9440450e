// An alternate stack lets a handler run on a thread whose own stack is used up.
//
// Thread-safety:       made and freed on the thread it is for.
// Async-signal-safety: none.
// Lifetime:            per thread: from the start of its environment, or its claim of a shard, to the end of that. A stack
//                      that the thread had before is left alone.

#pragma once

namespace vmm {

// Gives the calling thread an alternate stack, with a guard page below it. Null when it has one already, or when there is no
// memory; the thread then goes without, as it did before.
void* MakeAlternateStack();

// Takes it away again; null is harmless.
void FreeAlternateStack(void* stack);

}  // namespace vmm

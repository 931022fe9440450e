// An alternate stack lets a handler run on a thread whose own stack is used up.
//
// Thread-safety:       made and freed on the thread it is for.
// Async-signal-safety: none.
// Lifetime:            per thread, and counted: from the first start of an environment or claim of a shard on that
//                      thread to the end of the last one. A stack that the thread had before is left alone.

#pragma once

namespace vmm {

// Gives the calling thread an alternate stack, with a guard page below it; a thread that has one from here already gets
// the same one again. Null when the thread has a stack of its own, or when there is no memory; the thread then goes
// without, as it did before.
void* MakeAlternateStack();

// Gives the stack back, once for each MakeAlternateStack, on the same thread: the last one takes the stack away. Null
// is harmless.
void FreeAlternateStack(void* stack);

}  // namespace vmm

#include "profile/last_samples.h"

namespace vmm {

namespace {

// How long the end of a profile waits for a crash handler that writes its samples.
constexpr int kRemoveMs = 100;

}  // namespace

bool LastSamples::Remove(const ProfileOutput* output) {
  outputs_.Remove(output);
  return outputs_.gate().AwaitEmptyWhile([](int waited_ms) { return waited_ms < kRemoveMs; });
}

void LastSamples::Send(int64_t deadline_ms) {
  outputs_.ForEachUntil([&](ProfileOutput& output) {
    // A forked child has a copy of the rows, but its parent writes them.
    if (output.is_own()) output.SendLast(deadline_ms);
    return true;
  });
}

}  // namespace vmm

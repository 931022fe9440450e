// Native tests that a platform cannot run, each with its reason. `part` is a part of the test's sentence; without it,
// the whole program is skipped.

export const SKIPS = [];

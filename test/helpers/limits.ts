/**
 * The limit for something that only has to end. It is no promise: even on a machine that is three times overloaded
 * everything ends long before, so only a hang reaches the limit.
 */
export const HANG_MS = 240_000;

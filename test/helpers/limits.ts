/**
 * How long something may take that only has to end. It promises nothing: on a machine that is three times overloaded
 * all is over long before, and so only what hangs meets it.
 */
export const HANG_MS = 240_000;

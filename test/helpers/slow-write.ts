// Writes that a test slows down or that end the process: see test/addon/slow_write.cc.

import { fileURLToPath } from 'node:url';

/** To be loaded before the C library (LD_PRELOAD). */
export const slowWriteLibrary = fileURLToPath(new URL('../addon/build/Release/slow_write.node', import.meta.url));

/** The option of runChild() with which a child has such writes. */
export const slowWrites = { before: `export LD_PRELOAD='${slowWriteLibrary}'` };

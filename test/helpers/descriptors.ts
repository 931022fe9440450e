// The descriptors of this process.

import { readdirSync, readlinkSync } from 'node:fs';

/** The open descriptors whose files have names that match: paths, with ` (deleted)` behind those of removed files. */
export function descriptorsOf(matches: RegExp | string): string[] {
  return readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      const name = readlinkSync(`/proc/self/fd/${descriptor}`);
      return typeof matches === 'string' ? name.startsWith(matches) : matches.test(name);
    } catch {
      return false; // the descriptor of the listing itself, which is closed by now
    }
  });
}

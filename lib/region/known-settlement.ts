// What became of a line in flight, for as long as neither the region nor the sink changes. To find out, a reader may
// have to search a megabyte of the sink, and a file that is read each second needs that only once.

import { statSync } from 'node:fs';

import type { RegionHeader } from './header.ts';
import type { Settlement } from './settlement.ts';

export class KnownSettlement {
  #key: string | undefined;
  #settlement: Settlement = 'unknown';

  /** What `find` said of the same life of the region, the same line, and the same content of the sink; or asks it. */
  of(header: RegionHeader, find: () => Settlement): Settlement {
    const key = keyOf(header);
    if (this.#key === key) return this.#settlement;
    this.#settlement = find();
    // What is not known cost no search, and an error, such as too many open files, may pass.
    this.#key = this.#settlement === 'unknown' ? undefined : key;
    return this.#settlement;
  }
}

function keyOf({ pid, startTicks, bootId, commit, line, sinkPath }: RegionHeader): string {
  return [pid, startTicks, bootId, commit, ...Object.values(line!), sinkPath, identityOf(sinkPath)].join('\0');
}

/** Changes when the file is written or replaced. */
function identityOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? ''; // settle() says what that means
  }
}

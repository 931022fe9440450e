// What became of a process, in words.

import type { RegionSummary } from '../region/reader.ts';
import { digits } from '../text.ts';
import { plain } from './terminal-text.ts';

/** One sentence: which process it is, what became of it, when it started, how many lines it flushed. */
export function describeState({ name, pid, startedAt, degraded, isThisBoot, linesFlushed, ...end }: RegionSummary): string {
  const lines = `${digits(linesFlushed)} ${linesFlushed === 1n ? 'line' : 'lines'} flushed`;
  return [
    `${plain(name)}, process ${pid}, ${describeEnd(end)}`,
    `started ${startedAt.toISOString()}${isThisBoot ? '' : ', before this boot'}`,
    lines,
    ...(degraded ? ['DEGRADED: part of its memory was lost, with the values in it'] : []),
  ].join('; ');
}

function describeEnd({ state, exitCode, crash }: Pick<RegionSummary, 'state' | 'exitCode' | 'crash'>): string {
  switch (state) {
    case 'running':
      return 'is running';
    case 'closed':
      return 'was closed';
    case 'exited':
      return exitCode === undefined ? 'exited' : `exited with code ${exitCode}`;
    case 'panicked':
      return exitCode === undefined ? 'panicked' : `panicked (exit code ${exitCode})`;
    case 'killed':
      return 'was killed';
    case 'crashed':
      if (crash === undefined) return 'crashed';
      return `crashed by ${crash.signal} (code ${crash.code}, address 0x${crash.address.toString(16)}) at ${crash.at.toISOString()} in thread ${crash.threadId}`;
  }
}

// The processor time that the threads of this process have used.

import { readdirSync, readFileSync } from 'node:fs';

/** Nanoseconds of processor time by the thread's name; native threads of the package have names of their own. */
export function processorNsByThread(): Map<string, number> {
  const times = new Map<string, number>();
  for (const thread of readdirSync('/proc/self/task')) {
    try {
      const name = readFileSync(`/proc/self/task/${thread}/comm`, 'utf8').trim();
      times.set(name, Number(readFileSync(`/proc/self/task/${thread}/schedstat`, 'utf8').split(' ')[0]));
    } catch {
      // a thread that has just ended
    }
  }
  return times;
}

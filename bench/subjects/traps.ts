// Does the capture of signals slow down WebAssembly traps? A trap is a signal too.

import { opened } from '../store.ts';
import { trialSubject } from '../trial.ts';
import { outOfBoundsLoad } from '../wasm.ts';

const WITHOUT = 'a WebAssembly trap, without capture';

async function trapping(isCaptured: boolean) {
  const metrics = await opened();
  metrics.init('/dev/null');
  if (isCaptured) metrics.captureSignals();
  const load = outOfBoundsLoad();
  return (times: number) => {
    let errors = 0;
    for (let i = 0; i < times; i++) {
      try {
        load();
      } catch {
        errors++;
      }
    }
    if (errors !== times) throw new Error(`${times} traps gave ${errors} errors`);
  };
}

export const subject = trialSubject('traps', import.meta.url, [
  { name: WITHOUT, prepare: () => trapping(false) },
  { name: 'a WebAssembly trap, captured', bound: { atMost: 1.1, of: WITHOUT }, prepare: () => trapping(true) },
]);

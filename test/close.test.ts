// What runs after close(): listeners of the package that were about to be called, and methods of a released attachment.
// Row 28 of the fault matrix has the deaths.

import { describe, expect, test } from 'vitest';

import { binding, type StoreSpec } from '../lib/binding.ts';
import { layoutOf } from '../lib/layout.ts';
import { defineSchema, group, inc, perDevice } from '../lib/schema.ts';
import { storeSpecOf } from '../lib/store-spec.ts';
import { runChild } from './helpers/children.ts';
import { closed } from './helpers/errors.ts';
import { freshName } from './helpers/workplace.ts';

/** Freed memory is filled, so that each use of it fails. */
const options = { before: 'export MALLOC_PERTURB_=170' };

describe('given captured stores', () => {
  test('when there are 12 of them, then Node warns of no listener leak, other listeners keep working, and close() removes their listeners', async () => {
    const { stdout, stderr } = await runChild('close-in-use.mjs', ['many', '12'], options);
    expect(stderr).not.toContain('MaxListenersExceededWarning');
    expect(stdout).toBe('no listener left\n');
  });
});

describe('given an attachment that was released', () => {
  const schema = defineSchema({ g: group({ n: inc('n') }), d: perDevice({ n: inc('n') }) });
  const spec = (): StoreSpec => storeSpecOf(freshName(), schema, layoutOf(schema), {}, { previous: 'keep' });

  test('when its methods are called, then each fails cleanly or does nothing', () => {
    const attachment = binding().open(spec());
    if (typeof attachment !== 'object' || 'reason' in attachment) throw new Error('the store cannot be opened');
    attachment.detach();
    attachment.detach();
    attachment.add(0, 1n);
    attachment.set(0, 1n);
    attachment.raise(0, 1n);
    attachment.letGo();
    const uses: (() => unknown)[] = [
      () => attachment.chunkCells,
      () => attachment.row(0, 0),
      () => attachment.total(0),
      () => attachment.pending(0),
      () => attachment.snapshot(),
      () => attachment.allocDevice(0, 'a'),
      () => attachment.removeDevice(0, 'a'),
      () => attachment.devices(0),
      () => attachment.watch(() => {}),
      () => attachment.leaving(),
      () => attachment.restCell(0),
      () => attachment.init('/dev/null'),
      () => attachment.flush(),
      () => attachment.startPeriodicFlush(1000),
      () => attachment.captureSignals(Uint32Array.of(1), false, 500),
      () => attachment.displaced(),
      () => attachment.retakeSignal(1),
      () => attachment.startProfiling(Uint32Array.of(0), 1_000_000, 'Time (ns)\n', undefined, '/dev/null'),
      () => attachment.native(),
    ];
    for (const use of uses) expect(use, String(use)).toThrow(closed);
  });
});

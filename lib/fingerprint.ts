// The fingerprint of a schema. Threads and processes whose fingerprints are the same have the same layout.

import { binding } from './binding.ts';
import type { Layout } from './layout.ts';

const known = new WeakMap<Layout, bigint>();

/**
 * A hash of the layout's facts; never 0, which means "any" to native code. Native code computes it, because node:crypto
 * takes 4 ms to load.
 */
export function fingerprintOf(layout: Layout): bigint {
  const fingerprint = known.get(layout) ?? (binding().fingerprint(JSON.stringify(layout.facts)) || 1n);
  known.set(layout, fingerprint);
  return fingerprint;
}

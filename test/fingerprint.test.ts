// The fingerprint of a schema, which region files contain: SHA-256, computed by the addon.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';

import { binding } from '../lib/binding.ts';
import { fingerprintOf } from '../lib/fingerprint.ts';
import { layoutOf } from '../lib/layout.ts';
import { defineSchema, group, inc } from '../lib/schema.ts';

const first8 = (text: string) => createHash('sha256').update(text).digest().readBigUInt64LE();

test('given texts of every length around the blocks of SHA-256, when the addon hashes them, then it agrees with OpenSSL', () => {
  for (let length = 0; length <= 300; length++) {
    const text = String.fromCharCode(...Array.from({ length }, (_, i) => 32 + ((i * 31 + length) % 95)));
    expect(binding().fingerprint(text), `${length} bytes`).toBe(first8(text));
  }
  for (const text of ['é', 'ß'.repeat(64), '\u{1f680}'.repeat(1000), 'x'.repeat(1e6)])
    expect(binding().fingerprint(text)).toBe(first8(text));
});

test('given a schema, when its fingerprint is asked for, then it is the hash of its facts, and its layout is one object', () => {
  const schema = defineSchema({ g: group({ n: inc('n', { onError: true }) }) });
  const layout = layoutOf(schema);
  expect(layoutOf(schema)).toBe(layout);
  expect(fingerprintOf(layout)).toBe(first8('[["g","group()"],["g.n","inc(onError: true)"]]'));
});

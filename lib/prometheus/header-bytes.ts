// The comment lines of families as bytes. Rendering them takes longer than copying the samples of a source. Pure.

import { type Family, headerOf } from './families.ts';

const headers = new WeakMap<Family, { text?: Uint8Array; openmetrics?: Uint8Array }>();

export function headerBytes(family: Family, isOpenMetrics: boolean): Uint8Array {
  let both = headers.get(family);
  if (both === undefined) headers.set(family, (both = {}));
  return (both[isOpenMetrics ? 'openmetrics' : 'text'] ??= Buffer.from(headerOf(family, isOpenMetrics)));
}

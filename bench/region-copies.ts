// Copies of a region file, as killed processes would leave them. A copy has holes where the file has holes, so a
// thousand copies fit into memory.

import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';

const PAGE_BYTES = 4096;

export function copyRegion(original: string, paths: readonly string[]): void {
  const region = readFileSync(original);
  const pages = Array.from({ length: Math.ceil(region.length / PAGE_BYTES) }, (_, i) =>
    region.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES),
  );
  const filled = pages.flatMap((page, i) => (page.some((byte) => byte !== 0) ? [{ page, offset: i * PAGE_BYTES }] : []));
  for (const path of paths) {
    const file = openSync(path, 'w', 0o600);
    ftruncateSync(file, region.length);
    for (const { page, offset } of filled) writeSync(file, page, 0, page.length, offset);
    closeSync(file);
  }
}

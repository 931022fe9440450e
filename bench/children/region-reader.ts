// A process that reads the region of another process in a loop: region-reader.js FILE.

import { underTest } from '../tree.ts';

const path = process.argv[2]!;
const { readRegion } = await underTest();
await readRegion(path);
process.stdout.write('reading\n');
for (;;) await readRegion(path);

// A process that reads the region of another over and over: region-reader.js FILE.

import { readRegion } from 'vmm-metrics';

const path = process.argv[2]!;
await readRegion(path);
process.stdout.write('reading\n');
for (;;) await readRegion(path);

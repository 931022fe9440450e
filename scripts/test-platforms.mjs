// Tests the addons for all platforms on a machine with x86_64: test-platforms.mjs [part]... [--smoke].
//
// Parts, all by default; a part that needs something that is not here is skipped, and says what is missing:
//   symbols  every symbol that the packed addons need is in glibc 2.28, or in Node-API
//   musl     the packed addon for musl is loaded by a process of musl on this machine
//   native   the tests of test/native for musl on x86_64, without emulation, and for arm64 with both C libraries
//   node     the core cases of test/everywhere with the packed addon, on this Node, and on Node 20, 22 and 24 for arm64
// --smoke runs only what takes seconds: `symbols`, `musl`, and one native program for each platform.
//
// arm64 is emulated by qemu-aarch64-static (Debian: qemu-user-static), which needs no root and changes nothing on this
// machine. Programs for arm64 and glibc take their libraries from libc6-arm64-cross and libstdc++6-arm64-cross.

import { parseArgs } from 'node:util';

import { loadsOnMusl } from './platforms/musl.mjs';
import { nativeTests } from './platforms/native.mjs';
import { nodeCases } from './platforms/node.mjs';
import { symbolsOfGlibc } from './platforms/symbols.mjs';
import { unpackedPackage } from './platforms/unpacked.mjs';

const PARTS = { symbols: symbolsOfGlibc, musl: loadsOnMusl, native: nativeTests, node: nodeCases };
const { values, positionals } = parseArgs({ options: { smoke: { type: 'boolean', default: false } }, allowPositionals: true });
for (const part of positionals) {
  if (!Object.hasOwn(PARTS, part)) throw new Error(`there is no part '${part}'; the parts are ${Object.keys(PARTS).join(', ')}`);
}
const parts = positionals.length > 0 ? positionals : values.smoke ? ['symbols', 'musl', 'native'] : Object.keys(PARTS);

const packed = unpackedPackage();
const totals = { passed: 0, failed: 0, skipped: 0 };
for (const part of parts) {
  const counts = await PARTS[part]({ packed: packed.folder, smoke: values.smoke });
  for (const kind of Object.keys(totals)) totals[kind] += counts[kind] ?? 0;
}
packed.remove();
console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed === 0 ? 0 : 1;

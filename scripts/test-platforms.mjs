// Tests the addons for all platforms on a machine with x86_64: test-platforms.mjs [part]...
//
// A part that needs something that is not here is skipped, and says what is missing. By default, all parts are run but
// the smoke, which the others contain:
//   symbols  every symbol that the packed addons need is in glibc 2.28, or in Node-API
//   musl     the packed addon for musl is loaded by a process of musl on this machine
//   pages    tests of regions, devices and crashes with granules of 64 KiB, as pages are in some kernels for arm64
//   native   the tests of test/native for musl on x86_64, without emulation, and for arm64 with both C libraries
//   node     the core cases of test/everywhere with the packed addon, on this Node, and on Node 20, 22 and 24 for arm64
//   smoke    what CI runs: one addon is built, checked and run by this Node, and the sources are compiled for arm64 and
//            musl. If it is skipped, the exit code is 77.
//
// arm64 is emulated by qemu-aarch64-static (Debian: qemu-user-static), which needs no root and changes nothing on this
// machine. Programs for arm64 and glibc take their libraries from libc6-arm64-cross and libstdc++6-arm64-cross.

import { loadsOnMusl } from './platforms/musl.mjs';
import { nativeTests } from './platforms/native.mjs';
import { nodeCases } from './platforms/node.mjs';
import { largePages } from './platforms/pages.mjs';
import { smoke } from './platforms/smoke.mjs';
import { symbolsOfGlibc } from './platforms/symbols.mjs';
import { unpackedPackage } from './platforms/unpacked.mjs';

/** The exit code of a run that was skipped as a whole. */
const SKIPPED = 77;
const PARTS = { symbols: symbolsOfGlibc, musl: loadsOnMusl, pages: largePages, native: nativeTests, node: nodeCases, smoke };
const NEED_PACKAGE = ['symbols', 'musl', 'node'];
const wanted = process.argv.slice(2);
for (const part of wanted) {
  if (!Object.hasOwn(PARTS, part)) throw new Error(`there is no part '${part}'; the parts are ${Object.keys(PARTS).join(', ')}`);
}
const parts = wanted.length > 0 ? wanted : Object.keys(PARTS).filter((part) => part !== 'smoke');

const packed = parts.some((part) => NEED_PACKAGE.includes(part)) ? unpackedPackage() : undefined;
const totals = { passed: 0, failed: 0, skipped: 0 };
for (const part of parts) {
  const counts = await PARTS[part]({ packed: packed?.folder });
  for (const kind of Object.keys(totals)) totals[kind] += counts[kind] ?? 0;
}
packed?.remove();
console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed > 0 ? 1 : totals.passed === 0 ? SKIPPED : 0;

// How a program for a platform is started on this machine.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const QEMU = 'qemu-aarch64-static';
/** Where Debian puts the libraries of glibc for arm64. */
const SYSROOT = '/usr/aarch64-linux-gnu';

const isThere = (program) => spawnSync(program, ['--version']).error === undefined;

/** The program and the arguments that come first, or the reason why it cannot be started. */
export function launcherFor(triple) {
  const machine = triple.startsWith('aarch64') ? 'arm64' : 'x64';
  if (machine === process.arch) return { launch: [] };
  if (machine === 'x64') return { missing: 'a machine with x86_64' };
  if (!isThere(QEMU)) return { missing: `${QEMU} (Debian: qemu-user-static)` };
  if (triple.includes('musl')) return { launch: [QEMU] };
  if (!existsSync(`${SYSROOT}/lib/libstdc++.so.6`)) return { missing: `${SYSROOT} (Debian: libc6-arm64-cross, libstdc++6-arm64-cross)` };
  return { launch: [QEMU, '-L', SYSROOT] };
}

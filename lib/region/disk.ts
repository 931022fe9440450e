// A warning if a region file is on a disk. The file should be in memory: if it is on a disk, a thread that counts in a
// page waits while the kernel writes this page back.

import { statfsSync, statSync } from 'node:fs';

import { shown } from '../arguments.ts';
import type { Binding } from '../binding.ts';

/** `f_type` in statfs(2) of tmpfs, ramfs and hugetlbfs. */
const IN_MEMORY = [0x01021994, 0x858458f6, 0x958458f6];

const NAMES: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0xf2f52010, 'f2fs'],
  [0x2fc12fc1, 'zfs'],
  [0x794c7630, 'overlayfs'],
  [0x6969, 'nfs'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb2'],
  [0x65735546, 'fuse'],
  [0x01021997, '9p'],
]);

/** Warns if a region file is not in memory, once per process and file system. Silent if the file system is unknown. */
export function hintAtDisk(native: Pick<Binding, 'isFirst'>, file: string): void {
  let type: number;
  let device: number;
  try {
    type = statfsSync(file).type >>> 0; // negative on some machines
    device = statSync(file).dev;
  } catch {
    return;
  }
  if (IN_MEMORY.includes(type) || !native.isFirst(`METRICS_REGION_ON_DISK\n${device}`)) return;
  const name = NAMES.get(type);
  process.emitWarning(
    `The region file ${shown(file)} is on a disk${name === undefined ? '' : ` (${name})`}: when the disk stalls, every thread that counts waits, ` +
      'and so would a crash. Put the file on a tmpfs, such as /dev/shm.',
    { type: 'MetricsWarning', code: 'METRICS_REGION_ON_DISK' },
  );
}

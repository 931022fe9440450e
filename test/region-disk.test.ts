// Where a region file is: on a tmpfs nothing waits for a disk; on other file systems there is a warning.

import { accessSync, constants, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';

import { runChild } from './helpers/children.ts';

const TMPFS = 0x01021994;
const here = fileURLToPath(new URL('..', import.meta.url));
const folders = [tmpdir(), here, '/var/tmp', '/dev/shm', '/run'].filter((folder) => {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
});
const inMemory = folders.find((folder) => statfsSync(folder).type === TMPFS);
const onDisk = folders.find((folder) => statfsSync(folder).type !== TMPFS);

function folderIn(folder: string): string {
  const made = mkdtempSync(join(folder, 'vmm-metrics-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** The environment without the option that suppresses such warnings in tests. */
async function warningsOf(...files: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await runChild('region-disk.mjs', files, { before: 'unset NODE_OPTIONS' });
  expect(code, stderr).toBe(0);
  return stdout.split('\n').slice(0, -1);
}

describe('given a region file', () => {
  test.skipIf(onDisk === undefined)(
    'when it is on a disk, then each process gets one warning, however many files and threads it has',
    async () => {
      const folder = folderIn(onDisk!);
      const warnings = await warningsOf(join(folder, 'a'), join(folder, 'b'));
      expect(warnings).toEqual([
        expect.stringContaining(`MetricsWarning METRICS_REGION_ON_DISK The region file '${folder}/a' is on a disk`),
      ]);
      expect(warnings[0]).toContain('tmpfs');
    },
  );

  test.skipIf(inMemory === undefined)('when it is on a tmpfs, then there is no warning', async () => {
    expect(await warningsOf(join(folderIn(inMemory!), 'a'))).toEqual([]);
  });
});

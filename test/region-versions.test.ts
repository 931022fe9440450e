// Regions that earlier versions of this package left: each is read as it was meant, whatever the format has become.
//
// An earlier package wrote each file, with test/fixtures/crashed-region.mjs. The package at commit 3dbe1a7 wrote the
// file of version 1 of the format, and the package at e670063 wrote the file of version 2. In both, the id of the boot
// was replaced by zeros. Before the version of the format rises, the region of the old version is added here.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { Metrics, readRegion } from 'vmm-metrics';

import { FORMAT_VERSION, HeaderOffset } from '../lib/region/format.ts';
import { runChild } from './helpers/children.ts';
import { cli } from './helpers/command.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';

const left = [
  { version: 1, pid: 16321, startedAt: '2026-11-21T22:27:47.495Z', crashedAt: '2026-11-21T22:27:48.237Z' },
  { version: 2, pid: 16400, startedAt: '2026-11-21T22:27:48.865Z', crashedAt: '2026-11-21T22:27:49.320Z' },
];

/** What every version says. A count is 0 if the version has no counts. */
const valuesWith = (count: (n: bigint) => bigint) => ({
  vcpu: { exits: 2n ** 60n + 1017n, level: 4096n, time: { count: count(3n), min_us: 3n, max_us: 1500n, sum_us: 1510n } },
  disk: {
    devices: {
      a: { ops: 4n, busy: 6n, time: { count: count(1n), min_us: 12n, max_us: 12n, sum_us: 12n } },
      'ü"\\': { ops: 0n, busy: 0n, time: { count: count(2n), min_us: 30n, max_us: 250n, sum_us: 280n } },
    },
    // With what the removed device had counted.
    aggregate: { ops: 46n, busy: 6n, time: { count: count(3n), min_us: 12n, max_us: 250n, sum_us: 292n } },
  },
  net: { devices: { eth0: { sent: 13n } }, aggregate: { sent: 13n } },
  signals: { sigsegv: 1n, missed: 1n },
});
const pendingWith = (count: (n: bigint) => bigint) => ({
  vcpu: { exits: 1017n, level: 4096n, time: { count: count(2n), min_us: 3n, max_us: 1500n, sum_us: 1503n } },
  disk: {
    devices: {
      a: { ops: 1n, busy: 6n, time: { count: count(1n), min_us: 12n, max_us: 12n, sum_us: 12n } },
      'ü"\\': { ops: 0n, busy: 0n, time: { count: count(1n), min_us: 30n, max_us: 250n, sum_us: 30n } },
    },
    aggregate: { ops: 3n, busy: 6n, time: { count: count(2n), min_us: 12n, max_us: 250n, sum_us: 42n } },
  },
  net: { devices: { eth0: { sent: 8n } }, aggregate: { sent: 8n } },
  signals: { sigsegv: 1n, missed: 1n },
});
const none = () => 0n;
const all = (count: bigint) => count;
const lineAt = (at: string | Date) =>
  `{"utc_timestamp_ms":${new Date(at).getTime()},"id":"vm-0","properties":{"customer":"1234"},` +
  '"vcpu":{"exits":1017,"level":4096,"time":{"min_us":3,"max_us":1500,"sum_us":1503}},' +
  '"disk_a":{"ops":1,"busy":6,"time":{"min_us":12,"max_us":12,"sum_us":12}},' +
  '"disk_ü\\"\\\\":{"ops":0,"busy":0,"time":{"min_us":30,"max_us":250,"sum_us":30}},' +
  '"disk":{"ops":3,"busy":6,"time":{"min_us":12,"max_us":250,"sum_us":42}},' +
  '"net_eth0":{"sent":8},"signals":{"sigsegv":1,"missed":1}}\n';

describe.each(left)('given the region that a crash left in version $version', ({ version, pid, startedAt, crashedAt }) => {
  const whole = gunzipSync(readFileSync(new URL(`./fixtures/regions/version-${version}.gz`, import.meta.url)));
  const copied = () => {
    const path = `${temporaryFolder()}/region`;
    writeFileSync(path, whole, { mode: 0o600 });
    return path;
  };

  test('when it is read, then it says what that process was, what it had counted, and how it died', async () => {
    const path = copied();
    const { line, collect, schema, ...reading } = await readRegion(path);
    expect(whole.readUInt32LE(HeaderOffset.version)).toBe(version);
    expect(reading).toEqual({
      state: 'crashed',
      pid,
      startedAt: new Date(startedAt),
      crash: { signal: 'SIGSEGV', code: 0, address: 0n, threadId: pid, at: new Date(crashedAt) },
      degraded: false,
      name: 'vm0',
      id: 'vm-0',
      properties: { customer: '1234' },
      values: valuesWith(none),
      pending: pendingWith(none),
      hasPending: true,
      linesFlushed: 1n,
      sinkPath: '/run/vm0/sink',
      bootId: '00000000-0000-4000-8000-000000000000',
      isThisBoot: false,
    });
    expect(Object.keys(schema.shape)).toEqual(['utc_timestamp_ms', 'vcpu', 'disk', 'net', 'signals']);
    expect(line()).toBe(lineAt(crashedAt));
    expect(collect().map(({ path }) => path)).toContain('vcpu.exits');
    expect(readFileSync(path).equals(whole)).toBe(true);
  });

  test('when it is flushed, then its line goes out once, and its version stays', async () => {
    const path = copied();
    expect(await cli('flush', path, '--to', '-')).toEqual({ code: 0, stdout: lineAt(crashedAt), stderr: '' });
    expect(await cli('flush', path, '--to', '-')).toMatchObject({ code: 0, stdout: '' });
    expect(await readRegion(path)).toMatchObject({ hasPending: false, linesFlushed: 2n, state: 'crashed', values: valuesWith(none) });
    expect(readFileSync(path).readUInt32LE(HeaderOffset.version)).toBe(version);
  });

  test('when a store is opened over it, then it is kept as it is, and the store begins at 0 in the version of today', async () => {
    const path = copied();
    const { schema } = await readRegion(path);
    const metrics = closing(Metrics.open(schema, { name: freshName(), file: path }));
    expect(readFileSync(`${path}.previous`).equals(whole)).toBe(true);
    expect(metrics.snapshot()['vcpu']).toEqual({ exits: 0n, level: 0n, time: { count: 0n, min_us: 0n, max_us: 0n, sum_us: 0n } });
    expect(readFileSync(path).readUInt32LE(HeaderOffset.version)).toBe(FORMAT_VERSION);
  });
});

test('given a process of today that does the same, when it crashes, then its region says what those of earlier versions say', async () => {
  const folder = temporaryFolder();
  const { signal } = await runChild('crashed-region.mjs', [fileURLToPath(new URL('../dist', import.meta.url)), folder]);
  expect(signal).toBe('SIGSEGV');
  const reading = await readRegion(`${folder}/region`);
  expect(reading).toMatchObject({ state: 'crashed', name: 'vm0', id: 'vm-0', hasPending: true, linesFlushed: 1n });
  expect(reading.values).toEqual(valuesWith(all));
  expect(reading.pending).toEqual(pendingWith(all));
  expect(reading.line()).toBe(lineAt(reading.crash!.at));
});

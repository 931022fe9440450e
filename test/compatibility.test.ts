// docs/compatibility.md: what it promises is what the code does.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  defineSchema,
  ErrorCode,
  group,
  histogram,
  inc,
  latency,
  Metrics,
  perDevice,
  readRegion,
  store,
  utcTimestampMs,
} from 'vmm-metrics';

import { FORMAT_VERSION, FORMAT_VERSION_MIN, HeaderOffset } from '../lib/region/format.ts';
import { runChild } from './helpers/children.ts';
import { cli } from './helpers/command.ts';
import { shownBlocks } from './helpers/shown-blocks.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';

const root = fileURLToPath(new URL('../', import.meta.url));
const page = readFileSync(`${root}docs/compatibility.md`, 'utf8');

test('given the line of the page, when a store counts the same, then it writes the same line, byte for byte', () => {
  const schema = defineSchema({
    utc_timestamp_ms: utcTimestampMs(),
    vcpu: group({ exits: inc('Exits'), state: store('State'), exit_agg: latency('Time') }),
    sizes: group({ request: histogram('Size', { unit: 'bytes' }) }),
    block: perDevice({ reads: inc('Reads') }),
  });
  const metrics = closing(Metrics.open(schema, { name: freshName(), id: 'vm0', properties: { zone: 'a' } }));
  const sink = `${temporaryFolder()}/line`;
  metrics.init(sink);
  const { vcpu, sizes, block } = metrics.app;
  vcpu.exits.add(2);
  vcpu.state.store(7);
  for (const us of [3, 5]) vcpu.exit_agg.observe(us);
  sizes.request.observe(512);
  block.alloc('rootfs').reads.inc();
  metrics.write();
  const [promised] = shownBlocks(page).filter(({ language }) => language === 'json');
  expect(readFileSync(sink, 'utf8').replace(/"utc_timestamp_ms":\d+/, '"utc_timestamp_ms":0')).toBe(promised!.text);
});

test('given the error codes, when the page is read, then it lists each of them, and no other', () => {
  const listed = [...page.matchAll(/^\| `(ERR_METRICS_\w+)` \|/gm)].map(([, code]) => code);
  expect(listed.sort()).toEqual(Object.values(ErrorCode).sort());
});

describe('given the commands that the page promises', () => {
  const promised = [...page.matchAll(/^\| `(\w+)` \| (`--.*) \|$/gm)].map(([, command, options]) => ({
    command: command!,
    options: options!.match(/--[a-z-]+/g)!,
  }));

  test.each(promised)('when the help of $command is read, then it has each promised option', async ({ command, options }) => {
    const { stdout, code } = await cli(command, '--help');
    const there: readonly string[] = stdout.match(/--[a-z-]+/g) ?? [];
    expect({ code, missing: options.filter((option) => !there.includes(option)) }).toEqual({ code: 0, missing: [] });
  });

  test('when the first commands are looked for, then all are there', () => {
    expect(promised.map(({ command }) => command)).toEqual(
      expect.arrayContaining(['show', 'watch', 'flush', 'profile', 'plot', 'codegen', 'serve', 'lines']),
    );
  });

  test.each([
    { args: ['show', '/nowhere/x.region'], code: 1 },
    { args: ['flush', '/nowhere/x.region', '--to', '-'], code: 1 },
    { args: ['show'], code: 2 },
    { args: ['show', '--nope', 'x'], code: 2 },
    { args: ['nope'], code: 2 },
    { args: [], code: 2 },
    { args: ['--version'], code: 0 },
  ])('when the arguments are $args, then the exit code is $code', async ({ args, code }) => {
    expect((await cli(...args)).code).toBe(code);
  });
});

describe('given the versions that the page states', () => {
  test('when the region format is compared, then the newest version and the readable ones are right', () => {
    expect(page).toContain(`version of its own, which is ${FORMAT_VERSION}.`);
    expect({ oldest: FORMAT_VERSION_MIN, newest: FORMAT_VERSION }).toEqual({ oldest: 1, newest: 3 });
    expect(page).toContain('reads the versions 1, 2 and 3');
  });

  test('when the native interface is compared, then its version is right', () => {
    const [, abi] = /VMM_METRICS_ABI_VERSION (\d+)u/.exec(readFileSync(`${root}include/vmm_metrics.h`, 'utf8')) ?? [];
    expect(page).toContain(`\`VMM_METRICS_ABI_VERSION\` is ${abi}.`);
  });

  test('when a region of a newer version is read, then the error names the version', async () => {
    const file = `${temporaryFolder()}/newer.region`;
    await runChild('region.mjs', [JSON.stringify({ file, sink: `${file}.lines`, steps: ['open', 'add', 'close'] })]);
    const program = `const fs = require('fs'); const fd = fs.openSync(process.argv[1], 'r+');
      fs.writeSync(fd, Uint8Array.of(${FORMAT_VERSION + 1}), 0, 1, ${HeaderOffset.version});`;
    execFileSync(process.execPath, ['-e', program, file]);
    await expect(readRegion(file)).rejects.toMatchObject({
      code: 'ERR_METRICS_REGION',
      message: expect.stringContaining(`version ${FORMAT_VERSION + 1}`),
    });
  });
});

// The samples of native writers, in each language, and the header that was generated for them.

import { execFileSync, spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { defineSchema, group, histogram, inc, latency, Metrics, perDevice, type Schema, store, utcTimestampMs } from 'vmm-metrics';

// @ts-expect-error: a sample in JavaScript, without types
import sample from '../examples/native-writers/schema.mjs';
import { nodeHeaders, root } from './helpers/compiler.ts';
import { closing, freshName } from './helpers/workplace.ts';

interface Writer {
  run(external: unknown, threads: number, times: number): string;
}
const built = (name: string) => createRequire(import.meta.url)(`../examples/native-writers/build/Release/${name}.node`) as Writer;

const NO_CARGO = 'there is no cargo, which builds the sample in Rust';

/** The sample in Rust, or undefined where there is no cargo. */
function builtInRust(): Writer | undefined {
  if (spawnSync('cargo', ['--version']).status !== 0) return undefined;
  const target = join(root, 'build/rust');
  const env = { ...process.env, NODE_INCLUDE_DIR: nodeHeaders(), CARGO_TARGET_DIR: target };
  execFileSync('cargo', ['build', '--release', '--offline', '--locked', '--quiet'], {
    cwd: join(root, 'examples/native-writers/rust'),
    env,
  });
  const module = { exports: {} as Writer };
  process.dlopen(module, join(target, 'release/librust_writer.so'));
  return module.exports;
}

const n = inc('');
const flush_bytes = histogram('', { unit: 'bytes', max: 2 ** 30 });
const pmem = { flush_count: n, event_fails: n, flush_bytes };
/** The schema of examples/native-writers/schema.mjs. */
const vcpu = { exit_io_out: n, exit_io_out_agg: latency(''), halt_agg: latency('', { histogram: true }), state: store('') };
const schema = defineSchema({ utc_timestamp_ms: utcTimestampMs(), vcpu: group(vcpu), pmem: perDevice(pmem) });
const openSample = (name = freshName()) => closing(Metrics.open(sample as typeof schema, { name }));

const samples = [
  { language: 'C', writer: () => built('c_writer') },
  { language: 'C++', writer: () => built('cpp_writer') },
  { language: 'Rust', writer: builtInRust },
];

describe.each(samples)('given the sample in $language', ({ writer }) => {
  test('when its threads count, then JavaScript reads exact values, and the device is free for removal', (context) => {
    const { run } = writer() ?? context.skip(NO_CARGO);
    const metrics = openSample();
    expect(run(metrics.native, 4, 5_000)).toBe('');
    const { vcpu, pmem } = metrics.snapshot();
    expect(vcpu).toMatchObject({ exit_io_out: 20_000n, exit_io_out_agg: { count: 20_000n }, state: 0n });
    expect(pmem.devices['drv0']).toMatchObject({ flush_count: 2_000n, event_fails: 0n });
    expect(metrics.app.pmem.remove('drv0')).toBe(true);
  });

  test('when the schema does not suit it, then it says so, and counts nothing', (context) => {
    const { run } = writer() ?? context.skip(NO_CARGO);
    const metrics = closing(Metrics.open(defineSchema({ vcpu: group({ exit_io_in: n }) }), { name: freshName() }));
    expect(run(metrics.native, 1, 1)).toMatch(/^(vcpu\.exit_io_out: the schema has no metric|utc_timestamp_ms is missing in the store)/);
    expect(run({}, 1, 1)).toContain('not the `native` of a vmm-metrics store');
    expect(metrics.snapshot()).toEqual({ vcpu: { exit_io_in: 0n } });
  });

  test('when it observes values and durations, then the buckets are those of JavaScript', (context) => {
    const { run } = writer() ?? context.skip(NO_CARGO);
    const metrics = openSample();
    expect(run(metrics.native, 2, 5_000)).toBe('');
    const reference = openSample();
    const drive = reference.app.pmem.alloc('drv0');
    for (let thread = 0; thread < 2; thread++) {
      for (let i = 0; i < 5_000; i += 10) drive.flush_bytes.observe(i);
    }
    expect(metrics.app.pmem.alloc('drv0').flush_bytes.read()).toEqual(drive.flush_bytes.read());
    // Durations of i.999 us are in the bucket of their nanoseconds, and in the extremes as i us.
    const halted = metrics.app.vcpu.halt_agg.read();
    expect(halted).toMatchObject({ count: 10_000n, min: 0n, max: 4_999n });
    expect(Math.abs(Number(halted.sum) - 2 * (4_999 * 2_500 + 4_995))).toBeLessThanOrEqual(8);
    expect(halted.quantile(0.5)).toBeGreaterThan(2_500 * 0.95);
    expect(halted.quantile(0.5)).toBeLessThan(2_500 * 1.05);
    expect([...halted.buckets()].reduce((sum, { count }) => sum + count, 0n)).toBe(10_000n);
  });
});

describe('given a generated header', () => {
  const attach = (other: Schema, options = {}) =>
    built('cpp_writer').run(closing(Metrics.open(other, { name: freshName(), ...options })).native, 0, 0);

  test.each([
    {
      what: 'another kind',
      other: defineSchema({ ...schema.shape, vcpu: group({ ...vcpu, exit_io_out: store('') }) }),
      says: 'vcpu.exit_io_out is store() in the store and inc() in the generated header',
    },
    {
      what: 'a metric less',
      other: defineSchema({ ...schema.shape, pmem: perDevice({ flush_count: n, flush_bytes }) }),
      says: 'pmem.event_fails is missing in the store',
    },
    {
      what: 'a metric more',
      other: defineSchema({ ...schema.shape, vcpu: group({ ...vcpu, more: n }) }),
      says: 'vcpu.more is missing in the generated header',
    },
    {
      what: 'a group more at its end',
      other: defineSchema({ ...schema.shape, more: group({ n }) }),
      says: 'more is missing in the generated header',
    },
    {
      what: 'another order',
      other: defineSchema({ ...schema.shape, pmem: perDevice({ event_fails: n, flush_count: n, flush_bytes }) }),
      says: 'the store has pmem.event_fails where the generated header has pmem.flush_count',
    },
    {
      what: 'another option of a group',
      other: defineSchema({ ...schema.shape, pmem: perDevice(pmem, { aggregate: false }) }),
      says: /^pmem is perDevice\(aggregate: false, .*\) in the store and perDevice\(aggregate: true, /,
    },
    { what: 'only other descriptions', other: schema, says: '' },
  ])('when the schema of the store has $what, then attach() tells the first difference', ({ other, says }) => {
    if (typeof says === 'string') expect(attach(other)).toBe(says);
    else expect(attach(other)).toMatch(says);
  });

  test('when the store has options of its own, then they are no difference', () => {
    expect(attach(schema, { id: 'a "quoted" \\ id', properties: { b: '2', 'group()': 'x' } })).toBe('');
  });
});

// The bundled schemas against the facts of Firecracker v1.15.1 and v1.16.1 in `fixtures/`. The expected keys, names,
// kinds and totals come from those files and are never repeated here.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';
import { Metrics } from 'vmm-metrics';
import { firecrackerSchema as publicSchema } from 'vmm-metrics/firecracker';

import { type FirecrackerOptions, firecracker, firecrackerAarch64, firecrackerSchema, firecrackerX86_64 } from '../lib/firecracker.ts';
import {
  type Fields,
  type GroupDef,
  type MetricDef,
  type PerDeviceDef,
  type SchemaShape,
  schemaOf,
  type Unit,
  unitOf,
} from '../lib/schema.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';

type Arch = 'x86_64' | 'aarch64';

interface GroupFacts {
  /** The key of the group, or of the aggregate of its devices. */
  readonly key: string | null;
  readonly layout: 'single' | 'per_device';
  readonly device_key?: string;
  readonly aggregate_key?: string | null;
  readonly aggregate?: { readonly latency?: { readonly min_us: string; readonly max_us: string } };
  readonly emitted_on?: readonly Arch[];
  readonly fields: readonly { readonly name: string; readonly kind: MetricDef['kind'] }[];
}

interface Facts {
  readonly source: { readonly tag: string };
  readonly line: { readonly first_key: { readonly key: string } };
  readonly kinds: { readonly latency: { readonly order: readonly string[] } };
  readonly groups: readonly GroupFacts[];
  readonly totals: Readonly<Record<Arch, { top_level_keys_no_devices: number; numeric_leaves_no_devices: number }>> & {
    readonly leaves_per_device: Readonly<Record<string, number>>;
  };
}

const factsIn = (file: string): Facts => JSON.parse(readFileSync(new URL(`fixtures/${file}`, import.meta.url), 'utf8'));
const facts1_15 = factsIn('firecracker-schema.json');
const facts1_16 = factsIn('firecracker-schema-1.16.json');

/** The text before `_{id}`: the schema's key, even if the line has no aggregate. */
const keyOf = (g: GroupFacts): string => g.key ?? String(g.device_key).replace(/_\{\w+\}$/, '');
const factsOf = (facts: Facts, arch: Arch): GroupFacts[] => facts.groups.filter((g) => g.emitted_on?.includes(arch) ?? true);

type Entry = GroupDef | PerDeviceDef;

function entriesOf(shape: SchemaShape): [key: string, entry: Entry][] {
  return Object.entries(shape).filter((e): e is [string, Entry] => e[1].kind !== 'utcTimestampMs');
}

function metricsOf(shape: SchemaShape): { key: string; name: string; def: MetricDef }[] {
  return entriesOf(shape).flatMap(([key, { fields }]) => Object.entries(fields).map(([name, def]) => ({ key, name, def })));
}

const isInEveryLine = (entry: SchemaShape[string]): boolean => entry.kind !== 'perDevice' || entry.aggregate;

/** The numbers that one object of these fields has in the line. */
function leavesOf({ fields }: Entry): number {
  const leaves = Object.values(fields).map((def) => (def.kind === 'latency' ? facts1_15.kinds.latency.order.length : 1));
  return leaves.reduce((sum, n) => sum + n, 0);
}

const schemas: { name: string; facts: Facts; arch: Arch; shape: SchemaShape }[] = [
  { name: 'v1.15.1', facts: facts1_15, arch: 'x86_64', shape: firecrackerX86_64.shape },
  { name: 'v1.15.1', facts: facts1_15, arch: 'aarch64', shape: firecrackerAarch64.shape },
  { name: 'v1.16.1', facts: facts1_16, arch: 'x86_64', shape: firecrackerSchema({ version: '1.16', arch: 'x86_64' }).shape },
  { name: 'v1.16.1', facts: facts1_16, arch: 'aarch64', shape: firecrackerSchema({ version: '1.16', arch: 'aarch64' }).shape },
];

describe.each(schemas)('the schema of Firecracker $name for $arch', ({ name: tag, facts, arch, shape }) => {
  test('given the facts, when their source is read, then it is the release', () => {
    expect(facts.source.tag).toBe(tag);
  });

  test('given the facts, when the top level is compared, then keys, order and kinds are the same', () => {
    const groups = factsOf(facts, arch).map((g) => [keyOf(g), g.layout === 'single' ? 'group' : 'perDevice']);

    expect(Object.entries(shape).map(([key, { kind }]) => [key, kind])).toEqual([[facts.line.first_key.key, 'utcTimestampMs'], ...groups]);
  });

  test.each(
    factsOf(facts, arch).map((g) => ({ key: keyOf(g), expected: g.fields })),
  )('given the facts on $key, when its fields are compared, then names, order and kinds are the same', ({ key, expected }) => {
    const fields: Fields = Object.fromEntries(entriesOf(shape))[key]?.fields ?? {};

    expect(Object.entries(fields).map(([name, { kind }]) => ({ name, kind }))).toEqual(expected);
  });

  test('given the facts on devices, when the flags are compared, then the same groups have an aggregate, and the same aggregates show 0', () => {
    const expected = factsOf(facts, arch)
      .filter((g) => g.layout === 'per_device')
      .map((g) => {
        const { min_us, max_us } = g.aggregate?.latency ?? {};
        const zero = [min_us, max_us].every((text) => text?.startsWith('always 0'));
        return { key: keyOf(g), aggregate: g.aggregate_key !== null, latencyAggregate: zero ? 'zero' : 'extremum' };
      });
    const devices = entriesOf(shape).flatMap(([key, e]) =>
      e.kind === 'perDevice' ? [{ key, aggregate: e.aggregate, latencyAggregate: e.latencyAggregate }] : [],
    );

    expect(devices).toEqual(expected);
  });

  test('given no devices, when the keys of the line are counted, then the count is the total of the facts', () => {
    expect(Object.values(shape).filter(isInEveryLine)).toHaveLength(facts.totals[arch].top_level_keys_no_devices);
  });

  test('given no devices, when the numbers of the line and the timestamp are counted, then the count is the total of the facts', () => {
    const leaves = entriesOf(shape).map(([, entry]) => (isInEveryLine(entry) ? leavesOf(entry) : 0));

    expect(leaves.reduce((sum, n) => sum + n, 1)).toBe(facts.totals[arch].numeric_leaves_no_devices);
  });

  test('given one device of each kind, when its numbers are counted, then the count is the total of the facts', () => {
    const devices = entriesOf(shape).filter(([, { kind }]) => kind === 'perDevice');

    expect(Object.fromEntries(devices.map(([key, entry]) => [key, leavesOf(entry)]))).toEqual(facts.totals.leaves_per_device);
  });

  test('given any group, when its descriptions are read, then none is empty and no two are the same', () => {
    for (const [key, { fields }] of entriesOf(shape)) {
      const docs = Object.values(fields).map(({ doc }) => doc.trim().toLowerCase());

      expect(docs, key).not.toContain('');
      expect(new Set(docs).size, key).toBe(docs.length);
    }
  });

  test('given any metric, when its unit is read, then names of times have µs, names of memory have bytes, and all others have count', () => {
    const told = (key: string, name: string, def: MetricDef): Unit => {
      if (def.kind === 'latency' || /_us$/.test(name) || /_us$/.test(key)) return 'us';
      return /bytes|_freed$/.test(name) ? 'bytes' : 'count';
    };
    const metrics = metricsOf(shape);

    expect(metrics.map(({ key, name, def }) => `${key}.${name}: ${unitOf(name, def)}`)).toEqual(
      metrics.map(({ key, name, def }) => `${key}.${name}: ${told(key, name, def)}`),
    );
  });

  test('given all metrics, when event markers are looked up, then each marker is on the metric of its event', () => {
    const signals = factsOf(facts, arch).find((g) => g.key === 'signals')?.fields ?? [];
    const marked = metricsOf(shape).flatMap(({ key, name, def }) => {
      const { kind: _kind, doc: _doc, ...options } = def;
      const markers = Object.entries(options).filter(([option]) => option.startsWith('on') || option === 'startTime');
      return markers.length > 0 ? [[`${key}.${name}`, Object.fromEntries(markers)]] : [];
    });

    expect(Object.fromEntries(marked)).toEqual({
      ...Object.fromEntries(signals.map(({ name }) => [`signals.${name}`, { onSignal: name.toUpperCase() }])),
      'seccomp.num_faults': { onSignal: 'SIGSYS' },
      'vmm.panic_count': { onPanic: true, onSignal: 'SIGABRT' },
      'logger.missed_metrics_count': { onMissedFlush: true },
      'logger.metrics_fails': { onError: true },
      'api_server.process_startup_time_us': { startTime: 'wall' },
      'api_server.process_startup_time_cpu_us': { startTime: 'cpu' },
    });
  });
});

test('given this process, when its schema is used, then it is the schema of the architecture', () => {
  expect(schemaOf(firecracker)).toBe(firecracker);
  expect(firecracker).toBe(process.arch === 'arm64' ? firecrackerAarch64 : firecrackerX86_64);
});

describe('given options, when a schema of Firecracker is asked for', () => {
  const own = process.arch === 'arm64' ? 'aarch64' : 'x86_64';

  test.each([
    { options: undefined, schema: firecracker },
    { options: {}, schema: firecracker },
    { options: { version: undefined, arch: undefined }, schema: firecracker },
    { options: { version: '1.15' }, schema: firecracker },
    { options: { arch: 'x86_64' }, schema: firecrackerX86_64 },
    { options: { arch: 'x64' }, schema: firecrackerX86_64 },
    { options: { arch: 'aarch64' }, schema: firecrackerAarch64 },
    { options: { version: '1.15', arch: 'arm64' }, schema: firecrackerAarch64 },
    { options: { version: '1.16' }, schema: firecrackerSchema({ version: '1.16', arch: own }) },
    { options: { version: '1.15', histograms: false }, schema: firecracker },
    { options: { histograms: 'all' }, schema: firecrackerSchema({ version: '1.15', arch: own, histograms: 'all' }) },
    { options: { version: '1.16', arch: 'arm64' }, schema: firecrackerSchema({ version: '1.16', arch: 'aarch64' }) },
  ] satisfies { options: FirecrackerOptions | undefined; schema: unknown }[])('with $options, then each call gives one schema', (row) => {
    expect(firecrackerSchema(row.options as FirecrackerOptions | undefined)).toBe(row.schema);
  });

  test.each([
    { options: { version: '1.14' }, message: "version must be '1.15' or '1.16'; got '1.14'" },
    { options: { version: '1.16.1' }, message: "version must be '1.15' or '1.16'; got '1.16.1'" },
    { options: { version: 1.16 }, message: "version must be '1.15' or '1.16'; got 1.16" },
    { options: { arch: 'riscv64' }, message: "arch must be 'x86_64', 'aarch64', 'x64' or 'arm64'; got 'riscv64'" },
    { options: { histograms: true }, message: "histograms must be false, 'groups' or 'all'; got true" },
    { options: { histograms: 'none' }, message: "histograms must be false, 'groups' or 'all'; got 'none'" },
    { options: { arch: null }, message: "arch must be 'x86_64', 'aarch64', 'x64' or 'arm64'; got null" },
  ])('with $options, then the RangeError names what there is', ({ options, message }) => {
    const call = () => firecrackerSchema(options as FirecrackerOptions);

    expect(call).toThrow(RangeError);
    expect(call).toThrow(`firecrackerSchema(): ${message}`);
  });

  test.each([
    { histograms: 'groups', kinds: ['group'] },
    { histograms: 'all', kinds: ['group', 'perDevice'] },
  ] as const)('with histograms: $histograms, then the latencies of $kinds have one, and nothing else changes', ({ histograms, kinds }) => {
    const without = firecrackerSchema({ version: '1.16', arch: 'aarch64' }).shape as SchemaShape;
    const shape = firecrackerSchema({ version: '1.16', arch: 'aarch64', histograms }).shape as SchemaShape;
    const expected = Object.entries(without).map(([key, entry]) => {
      if (entry.kind === 'utcTimestampMs' || !(kinds as readonly string[]).includes(entry.kind)) return [key, entry];
      const fields = Object.entries(entry.fields).map(([name, def]) => [name, def.kind === 'latency' ? { ...def, histogram: true } : def]);
      return [key, { ...entry, fields: Object.fromEntries(fields) }];
    });

    expect(JSON.stringify(shape)).toBe(JSON.stringify(Object.fromEntries(expected)));
    expect(JSON.stringify(shape)).not.toBe(JSON.stringify(without));
  });

  test('with a misspelt option, then the TypeError names the options', () => {
    expect(() => firecrackerSchema({ verison: '1.16' } as FirecrackerOptions)).toThrow(
      new TypeError("firecrackerSchema(): unknown option 'verison'; the options are 'version', 'arch', 'histograms'"),
    );
  });
});

test.each([
  'groups',
  'all',
] as const)('given histograms: %o, when the same is counted as without, then the lines are the same, byte for byte', (histograms) => {
  const linesWith = (options: FirecrackerOptions) => {
    const file = join(temporaryFolder(), 'lines');
    const metrics = closing(Metrics.open(publicSchema(options), { name: freshName() }));
    metrics.init(file);
    const devices = ['a', 'b'].map((id) => metrics.app.block.alloc(id));
    for (let line = 0; line < 3; line++) {
      for (let i = 0; i < 50; i++) {
        metrics.app.vcpu.exit_io_in_agg.observe((i * 7919) % 1000);
        devices[i % 2]!.read_agg.observe((i * 104_729) % 100_000);
        metrics.app.vcpu.exit_io_in.add(i);
      }
      if (line === 1) metrics.app.block.remove('a');
      metrics.write();
    }
    return readFileSync(file, 'utf8').replaceAll(/"utc_timestamp_ms":\d+/g, '"utc_timestamp_ms":0');
  };
  const without = linesWith({ histograms: false });
  expect(without.split('\n')).toHaveLength(4);
  expect(without).toMatch(/"exit_io_in_agg":\{"min_us":\d+,"max_us":[1-9]\d*,"sum_us":[1-9]/);
  expect(linesWith({ histograms })).toBe(without);
});

// The bundled schemas against `fixtures/firecracker-schema.json`: the facts of Firecracker v1.15.1.
// The expected keys, names, kinds and totals come from that file and are never repeated here.

import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { firecracker, firecrackerAarch64, firecrackerX86_64 } from '../lib/firecracker.ts';
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
  readonly line: { readonly first_key: { readonly key: string } };
  readonly kinds: { readonly latency: { readonly order: readonly string[] } };
  readonly groups: readonly GroupFacts[];
  readonly totals: Readonly<Record<Arch, { top_level_keys_no_devices: number; numeric_leaves_no_devices: number }>> & {
    readonly leaves_per_device: Readonly<Record<string, number>>;
  };
}

const facts: Facts = JSON.parse(readFileSync(new URL('fixtures/firecracker-schema.json', import.meta.url), 'utf8'));

/** The text before `_{id}`: the schema's key, even if the line has no aggregate. */
const keyOf = (g: GroupFacts): string => g.key ?? String(g.device_key).replace(/_\{\w+\}$/, '');
const factsOf = (arch: Arch): GroupFacts[] => facts.groups.filter((g) => g.emitted_on?.includes(arch) ?? true);

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
  const leaves = Object.values(fields).map((def) => (def.kind === 'latency' ? facts.kinds.latency.order.length : 1));
  return leaves.reduce((sum, n) => sum + n, 0);
}

const schemas: { arch: Arch; shape: SchemaShape }[] = [
  { arch: 'x86_64', shape: firecrackerX86_64.shape },
  { arch: 'aarch64', shape: firecrackerAarch64.shape },
];

describe.each(schemas)('the Firecracker schema for $arch', ({ arch, shape }) => {
  test('given the facts, when the top level is compared, then keys, order and kinds are the same', () => {
    const groups = factsOf(arch).map((g) => [keyOf(g), g.layout === 'single' ? 'group' : 'perDevice']);

    expect(Object.entries(shape).map(([key, { kind }]) => [key, kind])).toEqual([[facts.line.first_key.key, 'utcTimestampMs'], ...groups]);
  });

  test.each(
    factsOf(arch).map((g) => ({ key: keyOf(g), expected: g.fields })),
  )('given the facts on $key, when its fields are compared, then names, order and kinds are the same', ({ key, expected }) => {
    const fields: Fields = Object.fromEntries(entriesOf(shape))[key]?.fields ?? {};

    expect(Object.entries(fields).map(([name, { kind }]) => ({ name, kind }))).toEqual(expected);
  });

  test('given the facts on devices, when the flags are compared, then the same groups have an aggregate, and the same aggregates show 0', () => {
    const expected = factsOf(arch)
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
    const signals = factsOf(arch).find((g) => g.key === 'signals')?.fields ?? [];
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

import { describe, expect, test } from 'vitest';
import { defineSchema, group, inc, latency, Metrics, perDevice, type Schema, store, utcTimestampMs } from 'vmm-metrics';
import { firecracker, firecrackerAarch64, firecrackerSchema, firecrackerX86_64 } from 'vmm-metrics/firecracker';

import { MAX } from './helpers/model.ts';
import { at, closing, freshName, linesIn, temporaryFolder } from './helpers/workplace.ts';

/** Opens the schema, does something, and gives the line of one flush: as text, and parsed. */
function lineOf<S extends Schema>(schema: S, act: (metrics: Metrics<S['shape']>) => void = () => {}, options: object = {}) {
  const metrics = closing(Metrics.open(schema, { name: freshName(), ...options })) as Metrics<S['shape']>;
  const path = `${temporaryFolder()}/lines`;
  metrics.init(path);
  act(metrics);
  metrics.write();
  return { metrics, path, line: linesIn(path).at(-1)! };
}

function numbersIn(value: unknown): number {
  return typeof value === 'object' && value !== null ? Object.values(value).reduce((n: number, v) => n + numbersIn(v), 0) : 1;
}

/** The names of a schema in the order of its line without devices, from the schema itself. */
function expectedKeys(schema: Schema): unknown[] {
  return Object.entries(schema.shape).flatMap<unknown>(([key, entry]) => {
    if (entry.kind === 'utcTimestampMs') return [key];
    if (entry.kind === 'perDevice' && !entry.aggregate) return [];
    return [
      [key, Object.entries(entry.fields).map(([name, def]) => (def.kind === 'latency' ? [name, ['min_us', 'max_us', 'sum_us']] : name))],
    ];
  });
}
function keysIn(line: object): unknown[] {
  return Object.entries(line).map(([key, value]) => (typeof value === 'object' ? [key, keysIn(value)] : key));
}

describe("given Firecracker's schema without devices", () => {
  test.each([
    { name: 'x86_64', schema: firecrackerX86_64 as Schema, keys: 23, numbers: 234 },
    { name: 'aarch64', schema: firecrackerAarch64 as Schema, keys: 24, numbers: 237 },
    { name: 'x86_64, v1.16.1', schema: firecrackerSchema({ version: '1.16', arch: 'x86_64' }) as Schema, keys: 23, numbers: 240 },
    { name: 'x86_64, with histograms', schema: firecrackerSchema({ arch: 'x86_64', histograms: 'all' }) as Schema, keys: 23, numbers: 234 },
    { name: 'aarch64, v1.16.1', schema: firecrackerSchema({ version: '1.16', arch: 'aarch64' }) as Schema, keys: 24, numbers: 243 },
  ])('when it is flushed for $name, then the line has $keys keys and $numbers numbers in the exact order', ({ schema, keys, numbers }) => {
    const { line } = lineOf(schema);
    expect(Object.keys(line)).toHaveLength(keys);
    expect(numbersIn(line)).toBe(numbers);
    expect(keysIn(line)).toEqual(expectedKeys(schema));
  });

  test('when the largest values are set, then they are printed exactly', () => {
    const { line, metrics } = lineOf(firecracker, ({ app }) => {
      app.vcpu.exit_io_in.add(MAX);
      app.signals.sighup.store(MAX);
      app.vcpu.exit_io_in_agg.observe(MAX);
    });
    expect(at(line, 'vcpu.exit_io_in')).toBe(MAX);
    expect(at(line, 'signals.sighup')).toBe(MAX);
    expect(at(line, 'vcpu.exit_io_in_agg')).toEqual({ min_us: MAX, max_us: MAX, sum_us: MAX });
    expect(metrics.app.vcpu.exit_io_in.count()).toBe(MAX);
  });
});

describe('given a schema of every kind', () => {
  const schema = defineSchema({
    at: utcTimestampMs(),
    g: group({ hits: inc('hits'), level: store('level'), time: latency('time') }),
    disk: perDevice({
      ops: inc('ops'),
      speed: store('speed', { aggregate: 'max' }),
      low: store('low', { aggregate: 'min' }),
      size: store('size'),
      time: latency('time'),
    }),
    nic: perDevice({ ops: inc('ops') }, { aggregate: false }),
  });

  test('when nothing was counted, then every number is 0 and the text is compact', () => {
    const { line } = lineOf(schema);
    expect(line['at']).toBeGreaterThan(1_700_000_000_000n);
    delete line['at'];
    expect(line).toEqual({
      g: { hits: 0n, level: 0n, time: { min_us: 0n, max_us: 0n, sum_us: 0n } },
      disk: { ops: 0n, speed: 0n, low: 0n, size: 0n, time: { min_us: 0n, max_us: 0n, sum_us: 0n } },
    });
  });

  test('when devices count, then each has its own object, sorted by bytes, and the aggregate has the sums and extremes', () => {
    const { line } = lineOf(schema, ({ app }) => {
      for (const [id, n] of [
        ['é', 3],
        ['Z', 1],
        ['a', 2],
      ] as const) {
        const disk = app.disk.alloc(id);
        disk.ops.add(n);
        disk.speed.store(n);
        disk.low.store(10 + n);
        disk.size.store(100 * n);
        disk.time.observe(n * 5);
        disk.time.observe(n);
        app.nic.alloc(id).ops.add(n);
      }
    });
    expect(Object.keys(line)).toEqual(['at', 'g', 'disk_Z', 'disk_a', 'disk_é', 'disk', 'nic_Z', 'nic_a', 'nic_é']);
    expect(line['disk_a']).toEqual({ ops: 2n, speed: 2n, low: 12n, size: 200n, time: { min_us: 2n, max_us: 10n, sum_us: 12n } });
    expect(line['disk']).toEqual({ ops: 6n, speed: 3n, low: 11n, size: 600n, time: { min_us: 1n, max_us: 15n, sum_us: 36n } });
  });

  test('when the schema sets the aggregate to zeros, then its extremes are 0', () => {
    const zero = defineSchema({ d: perDevice({ time: latency('time') }, { latencyAggregate: 'zero' }) });
    const { line } = lineOf(zero, ({ app }) => app.d.alloc('x').time.observe(7));
    expect(line).toEqual({ d_x: { time: { min_us: 7n, max_us: 7n, sum_us: 7n } }, d: { time: { min_us: 0n, max_us: 0n, sum_us: 7n } } });
  });

  test('when the schema has only groups of devices without an aggregate, and no device exists, then the line is an empty object', () => {
    const only = defineSchema({ d: perDevice({ n: inc('n') }, { aggregate: false }) });
    expect(lineOf(only).line).toEqual({});
    expect(lineOf(only, ({ app }) => void app.d.alloc('x')).line).toEqual({ d_x: { n: 0n } });
  });

  test('when 0 us was observed, then 0 stays the minimum', () => {
    const { line, metrics } = lineOf(schema, ({ app }) => {
      app.g.time.observe(9);
      app.g.time.observe(0);
      app.g.time.observe(4);
    });
    expect(at(line, 'g.time')).toEqual({ min_us: 0n, max_us: 9n, sum_us: 13n });
    metrics.app.g.time.observe(4);
    expect(metrics.app.g.time.min_us.fetch()).toBe(0n);
  });

  test('when it is flushed again, then counters and sums are deltas, and gauges and extremes stay', () => {
    const { metrics, path } = lineOf(schema, ({ app }) => {
      app.g.hits.add(5);
      app.g.level.store(8);
      app.g.time.observe(6);
    });
    metrics.app.g.hits.inc();
    metrics.write();
    expect(linesIn(path)[1]!['g']).toEqual({ hits: 1n, level: 8n, time: { min_us: 6n, max_us: 6n, sum_us: 0n } });
    expect(metrics.snapshot().g).toEqual({ hits: 6n, level: 8n, time: { count: 1n, min_us: 6n, max_us: 6n, sum_us: 6n } });
  });

  test('when a counter passes 2^64, then the counter and its delta wrap', () => {
    const { metrics, path } = lineOf(schema, ({ app }) => app.g.hits.add(MAX));
    metrics.app.g.hits.add(3);
    expect(metrics.app.g.hits.count()).toBe(2n);
    metrics.write();
    expect(at(linesIn(path)[1]!, 'g.hits')).toBe(3n);
  });
});

describe('given an identity', () => {
  test('when it is flushed, then id and properties come right after the timestamp, with keys sorted by bytes', () => {
    const properties = { zone: 'a"b\\', customer: '1234', é: '\u0001', Z: '' };
    const { line } = lineOf(firecracker, () => {}, { id: 'vm "0"', properties });
    expect(Object.keys(line).slice(0, 3)).toEqual(['utc_timestamp_ms', 'id', 'properties']);
    expect(line['id']).toBe('vm "0"');
    expect(line['properties']).toEqual(properties);
    expect(Object.keys(line['properties'] as object)).toEqual(['Z', 'customer', 'zone', 'é']);
  });

  test('when there is no timestamp, then id and properties come first', () => {
    const { line } = lineOf(defineSchema({ g: group({ n: inc('n') }) }), () => {}, { id: 'vm0' });
    expect(line).toEqual({ id: 'vm0', g: { n: 0n } });
  });
});

test('given ids with unusual characters, when they are flushed, then each is escaped as JSON and parses to the same id', () => {
  const ids = [
    '"',
    '\\',
    '\n',
    '\u001f',
    '\u007f',
    ' ',
    '/',
    'ü',
    '😀',
    '\u2028',
    '__proto__',
    'a'.repeat(255),
    'ü'.repeat(127),
    '{}',
    '\\u0000',
  ];
  const { path, metrics } = lineOf(defineSchema({ d: perDevice({ n: inc('n') }) }), ({ app }) => {
    for (const [i, id] of ids.entries()) app.d.alloc(id).n.add(i + 1);
  });
  const line = linesIn(path)[0]!;
  for (const [i, id] of ids.entries()) expect(line[`d_${id}`]).toEqual({ n: BigInt(i + 1) });
  expect(metrics.app.d.ids()).toEqual([...ids].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
  for (const [i, id] of ids.entries()) expect(metrics.snapshot().d.devices[id]).toEqual({ n: BigInt(i + 1) });
});

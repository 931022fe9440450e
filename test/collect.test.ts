// metrics.collect(), its counterpart of readRegion(), and jsonText().

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { defineSchema, group, inc, jsonText, latency, Metrics, perDevice, readRegion, store, utcTimestampMs } from 'vmm-metrics';
import { closing, freshName, parseLine, temporaryFolder } from './helpers/workplace.ts';

const schema = defineSchema({
  utc_timestamp_ms: utcTimestampMs(),
  vcpu: group({ exits: inc('KVM exits'), time: latency('Time of an exit') }),
  disk: perDevice({ read_bytes: inc('Data read'), level: store('A level', { aggregate: 'max' }) }),
  vhost: perDevice({ fails: inc('Failures') }, { aggregate: false }),
});

function counted(file?: string) {
  const metrics = closing(Metrics.open(schema, { name: freshName(), ...(file && { file }) }));
  metrics.app.vcpu.exits.add(2n ** 64n - 1n);
  metrics.app.vcpu.time.observe(41);
  metrics.app.vcpu.time.observe(2);
  // An object would move these keys to its beginning, and sort them as numbers.
  for (const [id, bytes] of [
    ['b', 1],
    ['10', 2],
    ['9', 3],
    ['gone', 4],
  ] as const)
    metrics.app.disk.alloc(id).read_bytes.add(bytes);
  metrics.app.disk.alloc('9').level.store(7);
  metrics.app.disk.remove('gone');
  metrics.app.vhost.alloc('net_a').fails.inc();
  return metrics;
}

const collectedValues = [
  { group: 'vcpu', name: 'exits', path: 'vcpu.exits', kind: 'inc', unit: 'count', doc: 'KVM exits', value: 2n ** 64n - 1n },
  {
    ...{ group: 'vcpu', name: 'time', path: 'vcpu.time', kind: 'latency', unit: 'us', doc: 'Time of an exit' },
    value: { count: 2n, min_us: 2n, max_us: 41n, sum_us: 43n },
  },
  ...[
    ['10', 2n, 0n],
    ['9', 3n, 7n],
    ['b', 1n, 0n],
  ].flatMap(([device, bytes, level]) => [
    {
      group: 'disk',
      device,
      name: 'read_bytes',
      path: `disk_${device}.read_bytes`,
      kind: 'inc',
      unit: 'bytes',
      doc: 'Data read',
      value: bytes,
    },
    { group: 'disk', device, name: 'level', path: `disk_${device}.level`, kind: 'store', unit: 'count', doc: 'A level', value: level },
  ]),
  { group: 'disk', aggregate: true, name: 'read_bytes', path: 'disk.read_bytes', kind: 'inc', unit: 'bytes', doc: 'Data read', value: 10n },
  { group: 'disk', aggregate: true, name: 'level', path: 'disk.level', kind: 'store', unit: 'count', doc: 'A level', value: 7n },
  { group: 'vhost', device: 'net_a', name: 'fails', path: 'vhost_net_a.fails', kind: 'inc', unit: 'count', doc: 'Failures', value: 1n },
];

test('given groups and devices, when metrics are collected, then the list has the order of the line', () => {
  expect(counted().collect()).toEqual(collectedValues);
});

test('given a region file, when its reading is collected, then the list is that of the process', async () => {
  const file = join(temporaryFolder(), 'region');
  const metrics = counted(file);
  const reading = await readRegion(file);
  expect(reading.collect()).toEqual(collectedValues);
  metrics.app.vcpu.exits.inc();
  expect(reading.collect()).toEqual(collectedValues);
});

test('given an open store, when it is asked for its name and schema, then both are those of open()', () => {
  const name = freshName();
  const metrics = closing(Metrics.open(schema, { name }));
  expect(metrics.name).toBe(name);
  expect(metrics.schema).toBe(schema);
});

test('given a closed store, when its metrics are collected, then the error says that the store is closed', () => {
  const metrics = Metrics.open(schema, { name: freshName() });
  metrics.close();
  expect(() => metrics.collect()).toThrow(expect.objectContaining({ code: 'ERR_METRICS_CLOSED' }));
});

test('given a snapshot, when it is written as JSON text, then the integers are exact', () => {
  const metrics = counted();
  const text = jsonText(metrics.snapshot());
  expect(text).toContain('"exits":18446744073709551615,"time":{"count":2,"min_us":2,"max_us":41,"sum_us":43}');
  expect(parseLine(text)).toEqual(
    JSON.parse(
      JSON.stringify(metrics.snapshot(), (_, v) => (typeof v === 'bigint' ? `${v}n` : v)),
      (_, v) => (typeof v === 'string' && /^\d+n$/.test(v) ? BigInt(v.slice(0, -1)) : v),
    ),
  );
  expect(jsonText([1n, 'a"b', undefined, { a: undefined, b: null, c: new Date(0), d: () => 1 }, Number.NaN])).toBe(
    '[1,"a\\"b",null,{"b":null,"c":"1970-01-01T00:00:00.000Z"},null]',
  );
});

// Requests of OpenTelemetry's protocol over time: bytes that are kept from request to request, and patched.

import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type CollectedMetric, defineSchema, group, histogram, inc, latency, Metrics, perDevice, store } from 'vmm-metrics';

import { Fleet } from '../lib/serve/fleet.ts';
import { OtlpRequests } from '../lib/serve/otlp-request.ts';
import { collectHere } from './helpers/garbage.ts';
import { type OtlpMetric, type OtlpPoint, resourcesIn } from './helpers/otlp.ts';
import { randomFrom } from './helpers/random.ts';
import { freshName, temporaryFolder } from './helpers/workplace.ts';

const schema = defineSchema({
  vcpu: group({
    exits: inc('exits'),
    start_ms: store('start'),
    busy_us: inc('busy'),
    time: latency('time'),
    spread: latency('spread', { histogram: true }),
  }),
  disk: perDevice({ read_bytes: inc('data'), time: latency('time'), sizes: histogram('sizes', { unit: 'bytes' }) }),
  net: perDevice({ time: latency('time') }, { latencyAggregate: 'zero' }),
});
const FACTS = { hostName: 'host', version: '1' };
const STEPS = 150;

function fleetOf(folder: string): Fleet {
  const limits = { keepMs: 1e9, forgetMs: 1e9, seriesMax: 10_000 };
  const fleet = new Fleet({ patterns: [folder], nameFrom: 'path', owners: 'own', report: expect.fail, now: () => Date.now(), ...limits });
  onTestFinished(() => fleet.close());
  return fleet;
}

/** What a point has to say of a metric. */
function pointFor({ value, unit, kind, device }: CollectedMetric, hasExtremes: boolean): Partial<OtlpPoint> {
  const divisor = { count: 1, bytes: 1, ns: 1e9, us: 1e6, ms: 1e3 }[unit];
  const inBase = (one: bigint) => Number(one) / divisor;
  const attributes = device === undefined ? {} : { device };
  if (typeof value === 'bigint') return { attributes, value: divisor === 1 && value < 2n ** 63n ? value : inBase(value) };
  const distribution = 'bucketCounts' in value ? value : value.histogram;
  if (distribution !== undefined) {
    const { count, sum, min, max, scale, zeroCount, zeroThreshold, offset, bucketCounts } = distribution;
    const extremes = count > 0n ? { min: inBase(min), max: inBase(max) } : {};
    return { attributes, count, sum: inBase(sum), ...extremes, scale, zeroCount, zeroThreshold, offset, bucketCounts: [...bucketCounts] };
  }
  if (kind !== 'latency' || 'bucketCounts' in value) return expect.fail('there is no other kind');
  const extremes = hasExtremes && value.count > 0n ? { min: inBase(value.min_us), max: inBase(value.max_us) } : {};
  return { attributes, count: value.count, sum: inBase(value.sum_us), ...extremes, bucketCounts: [value.count] };
}

/** The points of all metrics of a request, without their times, in the order of collect(). */
function pointsIn(metrics: ReadonlyMap<string, OtlpMetric>, collected: readonly CollectedMetric[]) {
  return collected.map(({ group: key, aggregate, name, device }) => {
    const metric = metrics.get(`vmm.${key}.${aggregate ? 'all.' : ''}${name.replace(/_(?:us|ms)$/, '')}`)!;
    const { start, time, ...point } = metric.points.find(({ attributes }) => attributes['device'] === device)!;
    expect(time - start).toBeGreaterThanOrEqual(0n);
    return point;
  });
}

test('given two stores that count, when requests are made over and over, then each has the values, and the bytes of a first request', () => {
  const random = randomFrom(7);
  const below = (limit: number) => Math.floor(limit * random());
  const folder = temporaryFolder();
  const open = (name: string) => Metrics.open(schema, { name: freshName(), file: join(folder, `${name}.region`), previous: 'discard' });
  // Most of the time, the two have the same devices, and share everything but numbers.
  const stores = new Map(['vm0', 'vm1'].map((name) => [name, open(name)]));
  let [name, metrics] = [...stores][0]!;
  onTestFinished(() => stores.forEach((one) => void one.close()));
  const fleet = fleetOf(folder);
  const kept = new OtlpRequests(FACTS);
  const ids = ['a', 'b"\n', 'ü'];
  let now = 0;
  const steps = [
    () => metrics.app.vcpu.exits.add(below(4) === 0 ? 3n : 2n ** 63n),
    () => metrics.app.vcpu.start_ms.store(BigInt(below(100_000))),
    () => metrics.app.vcpu.busy_us.add(below(1e9)),
    () => metrics.app.vcpu.time.observe(below(3)),
    () => metrics.app.vcpu.spread.observe(below(1e6)),
    () => metrics.app.disk.alloc(ids[now % 3]!).read_bytes.add(below(1e6)),
    () => metrics.app.disk.alloc(ids[now % 3]!).time.observe(below(1e6)),
    () => metrics.app.disk.alloc(ids[now % 3]!).sizes.observe(below(1e6)),
    () => metrics.app.disk.remove(ids[now % 3]!),
    () => metrics.app.net.alloc('n').time.observe(below(9)),
    () => {
      if (below(10) > 0) return;
      metrics.close();
      metrics = open(name);
      stores.set(name, metrics);
    },
  ];
  for (let i = 0; i < STEPS; i++) {
    now = below(1000);
    const step = steps[below(steps.length)]!;
    for (const both of below(5) === 0 ? [...stores].slice(below(2), 2) : stores) {
      [name, metrics] = both;
      step();
    }
    fleet.refresh();
    const nowMs = Date.now();
    const request = Buffer.from(kept.of(fleet.shown, nowMs));
    expect(request.equals(new OtlpRequests(FACTS).of(fleet.shown, nowMs))).toBe(true);
    for (const [vm, counted] of stores) {
      const collected = counted.collect();
      const found = pointsIn(resourcesIn(request).get(vm)!.metrics, collected);
      const expected = collected.map((one) => pointFor(one, !(one.group === 'net' && one.aggregate === true)));
      expect(found).toEqual(expected);
    }
  }
});

test('given a machine whose devices come and go, when requests are made over and over, then only what the last one needs is kept', async () => {
  const folder = temporaryFolder();
  const metrics = Metrics.open(schema, { name: freshName(), file: join(folder, 'vm.region'), previous: 'discard' });
  onTestFinished(() => metrics.close());
  const fleet = fleetOf(folder);
  const kept = new OtlpRequests(FACTS);
  const keptBytes = async (steps: number) => {
    for (let i = 0; i < steps; i++) {
      for (const n of [0, 1, 2, 3]) {
        metrics.app.disk.alloc(`${i}.${n}`);
        metrics.app.disk.remove(`${i - 1}.${n}`);
      }
      fleet.refresh();
      kept.of(fleet.shown, 1000 * i);
    }
    // A weak reference is a strong one until the next turn of the loop, and V8 may free memory in the background.
    const bytes: number[] = [];
    for (let collection = 0; collection < 20; collection++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      collectHere();
      bytes.push(process.memoryUsage().arrayBuffers);
    }
    return Math.min(...bytes);
  };
  const before = await keptBytes(10);
  expect((await keptBytes(200)) - before).toBeLessThan(100_000);
});

// The two renderers of many sources, in native code and in JavaScript: both give the same bytes.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { defineSchema, type Fields, group, histogram, inc, latency, type MetricDef, type Schema, store } from 'vmm-metrics';

import { binding, type NativeDevice } from '../lib/binding.ts';
import { layoutOf } from '../lib/layout.ts';
import type { Family } from '../lib/prometheus/families.ts';
import { JavaScriptRenderer } from '../lib/prometheus/fleet-text.ts';
import { labelsText } from '../lib/prometheus/names.ts';
import { nativeRenderer } from '../lib/prometheus/native-renderer.ts';
import type { Renderer } from '../lib/prometheus/rendering.ts';
import type { Sampled } from '../lib/sampled.ts';
import { deviceId, someDevices, someFields, text } from './helpers/any-schema.ts';

const native = nativeRenderer()!;
const javaScript = new JavaScriptRenderer();

const anywhere: readonly fc.Arbitrary<MetricDef>[] = [
  fc.constantFrom('count' as const, 'bytes' as const, 'ns' as const, 'us' as const, 'ms' as const).map((unit) => inc('Counter', { unit })),
  fc.constant(store('Gauge')),
  fc.constant(latency('Time "of"\nit')),
  fc.constant(latency('Time in buckets', { histogram: { relativeError: 0.5, max_us: 1000 } })),
  fc.constant(histogram('Sizes', { unit: 'bytes', relativeError: 0.5, min: 1, max: 1000 })),
];
const ofDevices = fc.constantFrom('sum' as const, 'min' as const, 'max' as const).map((aggregate) => store('Gauge', { aggregate }));
const fields = (names: readonly string[], ...more: fc.Arbitrary<MetricDef>[]): fc.Arbitrary<Fields> =>
  someFields(fc.constantFrom(...names), fc.oneof(...anywhere, ...more), 30);
const someGroup = (names: readonly string[]) => someDevices(fields(names, ofDevices));
const schema: fc.Arbitrary<Schema> = fc
  .record({ vcpu: fields(['a', 'b_us', 'c']), disk: someGroup(['x', 'y', 'z']), net: someGroup(['x', 'y']) })
  .map(({ vcpu, disk, net }) => defineSchema({ vcpu: group(vcpu), disk, net }));

const value = fc.oneof(
  fc.constantFrom(0n, 1n, 41n, 999_999n, 1_000_000n, 2n ** 53n + 1n, 2n ** 64n - 1n),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.integer({ min: 0, max: 19 }).map((power) => 10n ** BigInt(power)),
);

/** A source of a schema at two moments, between which values change, and now and then devices. */
interface Source {
  readonly labels: Readonly<Record<string, string>>;
  readonly schema: number;
  readonly moments: readonly {
    readonly ids: readonly (readonly (readonly [id: string, removed: boolean])[])[];
    readonly values: readonly bigint[];
  }[];
}

const devices = fc.uniqueArray(fc.tuple(deviceId, fc.boolean()), { selector: ([id]) => id, maxLength: 4 });
const moment = fc.record({ ids: fc.tuple(devices, devices), values: fc.array(value, { minLength: 1, maxLength: 40 }) });
const source: fc.Arbitrary<Source> = fc.record({
  labels: fc.oneof(
    fc.constant({}),
    text.map((vm) => ({ vm })),
    text.map((vm) => ({ vm, zone: 'é"\\\n'.repeat(30) })),
  ),
  schema: fc.nat(1),
  moments: fc.tuple(moment, moment),
});

/** What a reader would say. */
function sampledOf(of: Schema, { ids, values }: Source['moments'][number]): Sampled {
  const layout = layoutOf(of);
  let next = layout.cellKinds.length;
  const groups = layout.devices.map(({ group: number, cellKinds }) =>
    (ids[number] ?? []).map(([id, removed]): NativeDevice => {
      const firstCell = next;
      next += cellKinds.length;
      return { id, removed, firstCell };
    }),
  );
  return { layout, totals: BigUint64Array.from({ length: next }, (_, i) => values[i % values.length]!), devices: groups };
}

function textsBy(
  renderer: Renderer,
  schemas: readonly Schema[],
  sources: readonly Source[],
  isWanted: ((family: Family) => boolean) | undefined,
) {
  const all = sources.map(({ labels }) => renderer.samplesOf({ prefix: 'vmm', labels: labelsText(labels) }));
  return [0, 1, 1].flatMap((now) => {
    sources.forEach(({ schema: number, moments }, i) => {
      all[i]!.update(sampledOf(schemas[number]!, moments[now]!));
    });
    return [false, true].map((isOpenMetrics) => {
      try {
        return Buffer.concat([...renderer.textOf(all, { isOpenMetrics, isWanted }).chunks()]).toString();
      } catch (error) {
        return (error as Error).message; // two schemas with the same names and other types
      }
    });
  });
}

test('given any schemas, devices, labels and values, when both renderers write them, then the bytes are equal', () => {
  let bytes = 0;
  const check = fc.property(fc.tuple(schema, schema), fc.array(source, { maxLength: 5 }), fc.boolean(), (schemas, sources, isPart) => {
    const isWanted = isPart ? (family: Family) => family.name.length % 2 === 0 : undefined;
    const texts = textsBy(native, schemas, sources, isWanted);
    expect(texts).toEqual(textsBy(javaScript, schemas, sources, isWanted));
    bytes += texts.join('').length;
  });
  fc.assert(check, { numRuns: Number(process.env['VMM_METRICS_SOAK_TURNS'] ?? 300) });
  expect(bytes).toBeGreaterThan(100_000);
});

test('given many sources, when the chunks are small or a label is longer than a chunk, then no line is torn or lost', () => {
  const of = defineSchema({ vcpu: group({ a: inc('A'), b_us: inc('B') }) });
  const sources = Array.from({ length: 200 }, (_, i): Source => {
    return { labels: { vm: `${i}`, long: 'x'.repeat(i === 100 ? 300_000 : i) }, schema: 0, moments: [{ ids: [], values: [BigInt(i)] }] };
  });
  const written = (renderer: Renderer, memory?: (bytes: number) => Uint8Array) => {
    const all = sources.map(({ labels, moments }) => {
      const samples = renderer.samplesOf({ prefix: 'vmm', labels: labelsText(labels) });
      samples.update(sampledOf(of, moments[0]!));
      return samples;
    });
    return Array.from(renderer.textOf(all, { isOpenMetrics: false }).chunks(memory), (chunk) => Buffer.from(chunk).toString());
  };
  let asked = 0;
  const small = (bytes: number) => {
    asked++;
    return new Uint8Array(bytes > 300_000 ? bytes : 800);
  };
  const chunks = written(native, small);
  expect(chunks.join('')).toBe(written(javaScript).join(''));
  expect(chunks.every((chunk) => chunk.endsWith('\n'))).toBe(true);
  expect(chunks.length).toBeGreaterThan(50);
  expect(asked).toBeLessThanOrEqual(chunks.length + 4); // memory in which not even one line has room
});

test('given a text of native code, when its sources have changed and two readings take turns, then both read it as it was, until it is released', () => {
  const of = defineSchema({ vcpu: group({ a: inc('A') }) });
  const at = (number: number): Source['moments'][number] => ({ ids: [], values: [BigInt(number)] });
  const all = Array.from({ length: 100 }, (_, i) => native.samplesOf({ prefix: 'vmm', labels: `vm="${i}"` }));
  const textAt = (number: number) => {
    for (const samples of all) samples.update(sampledOf(of, at(number)));
    return native.textOf(all, { isOpenMetrics: false });
  };
  const [text, later] = [textAt(7), textAt(8)];
  const small = () => new Uint8Array(400);
  const whole = Buffer.concat([...text.chunks()]).toString();
  expect(whole.match(/ 7\n/g)!.length).toBe(100);
  expect(Buffer.concat([...later.chunks()]).toString()).toBe(whole.replaceAll(' 7\n', ' 8\n'));
  const readings = [text.chunks(small), text.chunks(small)].map((chunks) => chunks[Symbol.iterator]());
  const texts = ['', ''];
  for (let isOver = false; !isOver; ) {
    readings.forEach((reading, i) => {
      const { done, value } = reading.next();
      if (done) isOver = true;
      else texts[i] += Buffer.from(value).toString();
    });
  }
  expect(texts).toEqual([whole, whole]);
  const cut = text.chunks(small)[Symbol.iterator]();
  expect(cut.next().done).toBe(false);
  text.release();
  expect(cut.next().done).toBe(true);
  expect([...text.chunks()]).toEqual([]);
});

test('given specs that are not consistent, when native code gets them, then it refuses them', () => {
  const { expositionFamilies, expositionSource, expositionText } = binding();
  const none = new Uint32Array();
  const plain = { cells: 2, combine: new Uint8Array(), minima: none, buckets: none };
  const spec = {
    text: Buffer.from('name'),
    parts: Uint32Array.of(0, 4, 0, 0, 1, 6),
    families: Uint32Array.of(0, 1, 0, 0),
    owners: [plain],
  };
  const families = expositionFamilies(spec)!;
  expect(families).toBeDefined();
  for (const wrong of [
    { ...spec, text: Buffer.from('nam') },
    { ...spec, parts: Uint32Array.of(0, 4, 0, 0, 2, 6) },
    { ...spec, parts: Uint32Array.of(0, 4, 0, 0, 1, 20) },
    { ...spec, families: Uint32Array.of(1, 1, 0, 0) },
    { ...spec, families: Uint32Array.of(0, 1, 1, 0) },
    { ...spec, owners: [] },
    { ...spec, owners: [{ ...plain, minima: Uint32Array.of(1) }] },
    { ...spec, owners: [{ ...plain, buckets: Uint32Array.of(1, 2) }] },
    { ...spec, owners: [plain, { ...plain, combine: Uint8Array.of(1) }] },
    { ...spec, owners: [plain, { ...plain, combine: Uint8Array.of(1, 5) }] },
  ]) {
    expect(expositionFamilies(wrong)).toBeUndefined();
  }
  const own = { labels: Buffer.from(' '), plainLabelBytes: 1, devices: none, cells: 3 };
  const source = expositionSource(families, own)!;
  expect(source).toBeDefined();
  for (const wrong of [
    { ...own, cells: 1 },
    { ...own, plainLabelBytes: 2 },
    { ...own, devices: Uint32Array.of(0, 0, 0, 0) },
  ]) {
    expect(expositionSource(families, wrong)).toBeUndefined();
  }
  const text = {
    sources: [source],
    totals: [new BigUint64Array(3)],
    rows: Uint32Array.of(0),
    places: Int32Array.of(0),
    headers: Buffer.from('#\n'),
    headerEnds: Uint32Array.of(2),
  };
  expect(expositionText(text)).toBeDefined();
  for (const wrong of [
    { ...text, rows: Uint32Array.of(1) },
    { ...text, rows: none },
    { ...text, totals: [new BigUint64Array(2)] },
    { ...text, totals: [] },
    { ...text, places: Int32Array.of(1) },
    { ...text, headerEnds: Uint32Array.of(3) },
    { ...text, headerEnds: Uint32Array.of(2, 1) },
  ]) {
    expect(expositionText(wrong)).toBeUndefined();
  }
});

// Callers may pass odd JavaScript: getters whose values change, maps and dates instead of objects, and values of
// another realm or copy of the package.

import { cpSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createContext, runInContext, runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { defineSchema, group, inc, Metrics, perDevice, store, utcTimestampMs } from 'vmm-metrics';

import { bad } from './helpers/errors.ts';
import { closing, freshName, linesIn, temporaryFolder } from './helpers/workplace.ts';

const schema = defineSchema({ g: group({ n: inc('n') }) });

/** An object with a property that has one value at the first read, and another value at later reads. */
function fickle(key: string, first: unknown, later: unknown): { readonly reads: () => number; readonly object: never } {
  let reads = 0;
  const object = Object.defineProperty({}, key, { enumerable: true, get: () => (reads++ === 0 ? first : later) });
  return { reads: () => reads, object: object as never };
}

describe('given options with getters that change', () => {
  test('when metrics are opened, then each getter is read once, and the line is valid', () => {
    const path = `${temporaryFolder()}/lines`;
    const name = fickle('name', freshName(), 7);
    closing(Metrics.open(schema, name.object));
    expect(name.reads()).toBe(1);

    const property = fickle('customer', '1234', { toJSON: () => undefined });
    const metrics = closing(Metrics.open(schema, { name: freshName(), properties: property.object }));
    expect(property.reads()).toBe(1);
    metrics.init(path);
    metrics.write();
    expect(linesIn(path)[0]).toMatchObject({ properties: { customer: '1234' } });

    const interval = fickle('intervalMs', 1000, -1);
    metrics.startPeriodicFlush(interval.object);
    expect(interval.reads()).toBe(1);
  });

  test('when a schema is defined, then it holds the values that were checked', () => {
    const unit = fickle('unit', 'bytes', 'kilobytes');
    expect(inc('n', unit.object).unit).toBe('bytes');
    const aggregate = fickle('aggregate', false, 'no');
    expect(perDevice({ n: inc('n') }, aggregate.object).aggregate).toBe(false);
    const fields = fickle('fields', { n: inc('n') }, { n: 3 });
    const entry = Object.defineProperty(fields.object, 'kind', { enumerable: true, value: 'group' });
    expect(defineSchema({ g: entry }).shape).toEqual({ g: group({ n: inc('n') }) });
  });
});

describe('given an object that is not plain', () => {
  test.each([
    { what: 'a Map', value: new Map(), shown: 'Map(0) {}' },
    { what: 'a Date', value: new Date(0), shown: '1970-01-01T00:00:00.000Z' },
    { what: 'of a class', value: new (class Options {})(), shown: 'Options {}' },
    { what: 'made from another', value: Object.create({ name: 'x' }), shown: '{}' },
    { what: 'a function', value: () => {}, shown: '[Function: value]' },
  ])('when options or properties are $what, then an error shows it', ({ value, shown }) => {
    const metrics = closing(Metrics.open(schema, { name: freshName() }));
    const uses = [
      () => Metrics.open(schema, bad(value)),
      () => Metrics.open(schema, { name: freshName(), properties: bad(value) }),
      () => metrics.startPeriodicFlush(bad(value)),
      () => metrics.captureSignals(bad(value)),
      () => metrics.reportStartTime(bad(value)),
      () => metrics.startProfiling(bad(value)),
      () => inc('', bad(value)),
      () => store('', bad(value)),
      () => perDevice({ n: inc('') }, bad(value)),
    ];
    for (const use of uses) {
      expect(use).toThrow(TypeError);
      expect(use).toThrow(`got ${shown}`);
    }
  });
});

describe('given a schema that comes from elsewhere', () => {
  test('when its objects are from another realm, then it is accepted', () => {
    const realm = createContext({ defineSchema, group, inc, perDevice, utcTimestampMs });
    const text = `defineSchema({ t: utcTimestampMs(), g: group({ n: inc('n', { unit: 'bytes' }) }), d: perDevice({ n: inc('n') }, {}) })`;
    const metrics = closing(
      Metrics.open(runInContext(text, realm), runInNewContext('({ name, properties: { a: "1" } })', { name: freshName() })),
    );
    expect(metrics.snapshot()).toEqual({ g: { n: 0n }, d: { devices: {}, aggregate: { n: 0n } } });
    expect(() => runInContext('inc("n", new Map())', realm)).toThrow(/must be a plain object; got Map/);
    expect(() => runInContext('defineSchema({ __proto__: { g: 1 } })', realm)).toThrow(/without a '__proto__' key, which is reserved/);
  });

  test('when it is from another copy of the package, then it is checked again and accepted', async () => {
    const copy = join(temporaryFolder(), 'lib');
    cpSync(resolve(import.meta.dirname, '../dist/lib'), copy, { recursive: true });
    symlinkSync(resolve(import.meta.dirname, '../package.json'), join(copy, '..', 'package.json'));
    const other = (await import(/* @vite-ignore */ join(copy, 'index.js'))) as typeof import('vmm-metrics');
    expect(other.Metrics).not.toBe(Metrics);
    const theirs = other.defineSchema({ g: other.group({ n: other.inc('n', { unit: 'bytes', onPanic: true }) }) });
    const name = freshName();
    const metrics = closing(Metrics.open(theirs, { name }));
    metrics.app.g.n.inc();
    expect(metrics.snapshot()).toEqual({ g: { n: 1n } });
    expect(closing(Metrics.open(theirs, { name }))).toBe(metrics);
    // A group of a kind that only the other copy knows.
    const newer = Object.defineProperty({ shape: { g: { kind: 'tree' } } }, Symbol.for('vmm-metrics.schema'), { value: true });
    expect(() => Metrics.open(bad(newer))).toThrow(
      expect.objectContaining({ code: 'ERR_METRICS_SCHEMA', message: expect.stringMatching(/another copy of vmm-metrics.*g: .*tree/) }),
    );
    // An object that only looks like a schema is refused.
    expect(() => Metrics.open(bad({ shape: { g: { kind: 'group', fields: {} } } }))).toThrow(/must come from defineSchema\(\)/);
  });
});

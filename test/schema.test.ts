import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defineSchema, group, inc, latency, MetricsError, perDevice, type SchemaShape, store, unitOf, utcTimestampMs } from 'vmm-metrics';

import { firstDifference, layoutOf } from '../lib/layout.ts';
import { defineSchema as defineHere, group as groupHere, inc as incHere, latency as latencyHere } from '../lib/schema.ts';
import { bad } from './helpers/errors.ts';

const fine = inc('fine');

/** Passes arguments that TypeScript would refuse. */

describe('given a schema that cannot be used, when it is defined, then ERR_METRICS_SCHEMA names the path', () => {
  const cases: { name: string; shape: object; message: RegExp }[] = [
    { name: 'an empty schema', shape: {}, message: /^the schema: must not be empty/ },
    { name: 'an array', shape: [], message: /^the schema: must be an object/ },
    { name: 'an empty group', shape: { g: group({}) }, message: /^g: must not be empty/ },
    { name: 'empty devices', shape: { g: perDevice({}) }, message: /^g: must not be empty/ },
    { name: 'a metric at the top', shape: { m: fine }, message: /^m: must be group\(\), perDevice\(\) or utcTimestampMs\(\); got inc\(\)/ },
    {
      name: 'a group in a group',
      shape: { g: group(bad({ h: group({ fine }) })) },
      message: /^g\.h: must be inc\(\), store\(\), latency\(\) or histogram\(\); got group\(\)/,
    },
    { name: 'something else', shape: { g: group(bad({ m: 1 })) }, message: /^g\.m: must be inc\(\).*got 1/ },
    { name: 'null', shape: { g: group(bad({ m: null })) }, message: /^g\.m: .*got null/ },
    {
      name: 'a dash in a key',
      shape: { 'a-b': group({ fine }) },
      message: /^the schema: 'a-b' is not a usable key: it may have letters, digits and '_', and must not start with a digit$/,
    },
    { name: 'a key that starts with a digit', shape: { g: group({ '1st': fine }) }, message: /^g: '1st' is not a usable key/ },
    { name: 'an empty key', shape: { g: group({ '': fine }) }, message: /^g: '' is not a usable key/ },
    { name: 'a quote in a key', shape: { 'a"': group({ fine }) }, message: /^the schema: 'a"' is not a usable key/ },
    {
      name: '__proto__ as a computed key',
      shape: { ['__proto__']: group({ fine }) },
      message: /^the schema: '__proto__' is a reserved key$/,
    },
    { name: '__proto__ as a plain key', shape: { __proto__: group({ fine }) }, message: /__proto__/ },
    { name: 'constructor', shape: { g: group({ constructor: fine }) }, message: /^g: 'constructor' is a reserved key$/ },
    { name: 'prototype', shape: { prototype: group({ fine }) }, message: /^the schema: 'prototype' is a reserved key$/ },
    { name: 'two timestamps', shape: { a: utcTimestampMs(), b: utcTimestampMs() }, message: /^b: utcTimestampMs\(\) is given twice.* a$/ },
    {
      name: 'a signal given twice',
      shape: { g: group({ a: store('', { onSignal: 'SIGHUP' }), b: inc('', { onSignal: 'SIGHUP' }) }) },
      message: /^g\.b: onSignal: SIGHUP is given twice, the first time to g\.a/,
    },
    {
      name: 'a signal given twice, by its two names',
      shape: { g: group({ a: store('', { onSignal: 'SIGABRT' }), b: store('', { onSignal: 'SIGIOT' }) }) },
      message: /^g\.b: onSignal: SIGABRT is given twice/,
    },
    {
      name: 'a metric made by hand',
      shape: { g: group(bad({ a: { kind: 'store', doc: '', onSignal: 'SIGKILL' } })) },
      message: /^g\.a: .*no process can handle SIGKILL/,
    },
    {
      name: 'devices made by hand',
      shape: { g: { kind: 'perDevice', fields: { fine }, aggregate: 'yes' } },
      message: /^g: .*aggregate must be true or false/,
    },
    {
      name: 'two panic metrics',
      shape: { g: group({ a: store('', { onPanic: true }) }), h: group({ b: store('', { onPanic: true }) }) },
      message: /^h\.b: onPanic is given twice, the first time to g\.a/,
    },
    {
      name: 'a marker on a device',
      shape: { d: perDevice({ a: inc('', { onMissedFlush: true }) }) },
      message: /^d\.a: onMissedFlush can only be given to a metric of a plain group, not of devices$/,
    },
    {
      name: 'an aggregate without devices',
      shape: { g: group({ a: store('', { aggregate: 'max' }) }) },
      message: /^g\.a: aggregate can only be given to a metric of perDevice\(\)$/,
    },
  ];
  test.each(cases)('$name', ({ shape, message }) => {
    const defining = () => defineSchema(shape as SchemaShape);
    expect(defining).toThrow(MetricsError);
    expect(defining).toThrow(expect.objectContaining({ code: 'ERR_METRICS_SCHEMA', message: expect.stringMatching(message) }));
  });
});

describe('given wrong options of a metric, when it is defined, then a TypeError or RangeError names them', () => {
  test.each([
    {
      name: 'a misspelled option',
      call: () => inc('', bad({ onSignl: 'SIGHUP' })),
      error: TypeError,
      message: /inc\(\): unknown option 'onSignl'/,
    },
    {
      name: 'an option of another kind',
      call: () => inc('', bad({ startTime: 'wall' })),
      error: TypeError,
      message: /unknown option 'startTime'/,
    },
    { name: 'no text', call: () => inc(bad(undefined)), error: TypeError, message: /inc\(\): doc must be a string; got undefined/ },
    { name: 'a lone surrogate', call: () => latency('\ud800'), error: RangeError, message: /latency\(\): doc must be valid Unicode/ },
    {
      name: 'a signal nobody has',
      call: () => store('', bad({ onSignal: 'SIGFOO' })),
      error: RangeError,
      message: /onSignal: 'SIGFOO' is not the name of a signal/,
    },
    { name: 'SIGKILL', call: () => store('', bad({ onSignal: 'SIGKILL' })), error: RangeError, message: /no process can handle SIGKILL/ },
    { name: 'SIGSTOP', call: () => store('', bad({ onSignal: 'SIGSTOP' })), error: RangeError, message: /no process can handle SIGSTOP/ },
    {
      name: 'a number for a signal',
      call: () => store('', bad({ onSignal: 11 })),
      error: TypeError,
      message: /onSignal must be a string; got 11/,
    },
    {
      name: 'a text for a boolean',
      call: () => store('', bad({ onPanic: 'yes' })),
      error: TypeError,
      message: /onPanic must be true or false; got 'yes'/,
    },
    {
      name: 'another unit',
      call: () => inc('', bad({ unit: 'miles' })),
      error: RangeError,
      message: /unit must be 'count', 'bytes', 'ns', 'us' or 'ms'; got 'miles'/,
    },
    {
      name: 'another clock',
      call: () => store('', bad({ startTime: 'moon' })),
      error: RangeError,
      message: /startTime must be 'wall' or 'cpu'; got 'moon'/,
    },
    {
      name: 'another aggregate',
      call: () => store('', bad({ aggregate: 'mean' })),
      error: RangeError,
      message: /aggregate must be 'sum', 'min' or 'max'; got /,
    },
    { name: 'options that are none', call: () => inc('', bad(3)), error: TypeError, message: /inc\(\): options must be an object; got 3/ },
    {
      name: 'a text for aggregate',
      call: () => perDevice({ fine }, bad({ aggregate: 'no' })),
      error: TypeError,
      message: /aggregate must be true or false/,
    },
    {
      name: 'another extremum',
      call: () => perDevice({ fine }, bad({ latencyAggregate: 'one' })),
      error: RangeError,
      message: /latencyAggregate/,
    },
  ])('$name', ({ call, error, message }) => {
    expect(call).toThrow(error);
    expect(call).toThrow(message);
  });
});

test('given a schema, when the object that defined it changes, then the schema stays unchanged', () => {
  const fields = { fine };
  const shape: SchemaShape = { g: group(fields) };
  const schema = defineSchema(shape);
  (shape as Record<string, unknown>)['h'] = group({ fine });
  (fields as Record<string, unknown>)['later'] = fine;
  expect(Object.keys(schema.shape)).toEqual(['g']);
  expect(schema.shape['g']).toHaveProperty('fields', { fine });
});

test('given a metric without a unit, when it is defined, then its unit follows from its name', () => {
  expect(unitOf('process_startup_time_us', store(''))).toBe('us');
  expect(unitOf('read_bytes', inc(''))).toBe('bytes');
  expect(unitOf('utc_ms', store(''))).toBe('ms');
  expect(unitOf('rx_bytes_count', inc('', { unit: 'bytes' }))).toBe('bytes');
  expect(unitOf('exits', inc(''))).toBe('count');
  expect(unitOf('read_agg', latency(''))).toBe('us');
});

describe('layout', () => {
  test('given any number of metrics, when they are laid out, then no two share a cell, and none crosses a block of 512 cells', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 1200 }), (isLatency) => {
        const fields = Object.fromEntries(isLatency.map((l, i) => [`m${i}`, l ? latencyHere('') : incHere('')]));
        const { cellKinds, entries } = layoutOf(defineHere({ g: groupHere(fields) }));
        const used = new Set<number>();
        for (const { cell, def } of entries[0]!.kind === 'group' ? entries[0]!.metrics : []) {
          const cells = def.kind === 'latency' ? 4 : 1;
          expect(Math.floor(cell / 512)).toBe(Math.floor((cell + cells - 1) / 512));
          for (let i = cell; i < cell + cells; i++) {
            expect(used.has(i)).toBe(false);
            used.add(i);
          }
        }
        expect(Math.max(...used)).toBe(cellKinds.length - 1);
      }),
      { numRuns: 30 },
    );
  });

  test.each([
    { there: [['a', 'inc()']], here: [['a', 'store()']], says: 'a is inc() in the open store and store() in this call' },
    {
      there: [['a', 'x']],
      here: [
        ['a', 'x'],
        ['b', 'x'],
      ],
      says: 'b is missing in the open store',
    },
    {
      there: [
        ['a', 'x'],
        ['b', 'x'],
      ],
      here: [['a', 'x']],
      says: 'b is missing in this call',
    },
    {
      there: [
        ['a', 'x'],
        ['b', 'x'],
      ],
      here: [
        ['b', 'x'],
        ['a', 'x'],
      ],
      says: 'the open store has a where this call has b',
    },
    { there: [['a', 'x']], here: [['a', 'x']], says: undefined },
  ] as {
    there: [string, string][];
    here: [string, string][];
    says: string | undefined;
  }[])('given two layouts that differ, when they are compared, then the message is: $says', ({ there, here, says }) => {
    expect(firstDifference(there, here)).toBe(says);
  });
});

describe('given the groups of a schema', () => {
  const { g, d } = defineSchema({ g: group({ n: inc('n', { onPanic: true }) }), d: perDevice({ n: inc('n') }) }).shape;

  test('when another schema takes them, then they are the same objects, and their markers count there too', () => {
    const { shape } = defineSchema({ other: g, d, h: group({ n: inc('n', { onError: true }) }) });
    expect(shape.other).toBe(g);
    expect(shape.d).toBe(d);
    expect(() => defineSchema({ g, h: group({ n: inc('n', { onPanic: true }) }) })).toThrow(
      /^h\.n: onPanic is given twice, the first time to g\.n$/,
    );
    expect(() => defineSchema({ g, h: g })).toThrow(/^h\.n: onPanic is given twice, the first time to g\.n$/);
  });

  test('when a group that no schema has checked changes between two schemas, then each has what was there', () => {
    const fields: Record<string, ReturnType<typeof inc>> = { a: inc('a') };
    const changing = group(fields);
    const before = defineSchema({ changing });
    fields['b'] = inc('b');
    expect(Object.keys(before.shape.changing.fields)).toEqual(['a']);
    expect(Object.keys(defineSchema({ changing }).shape.changing.fields)).toEqual(['a', 'b']);
    Object.assign(fields, { c: { kind: 'inc', doc: 3 } });
    expect(() => defineSchema({ changing })).toThrow(/^changing\.c: inc\(\): doc must be a string; got 3$/);
  });
});

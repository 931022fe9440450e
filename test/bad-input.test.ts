// Wrong arguments: each gives a clear error and changes nothing.

import { execFileSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { defineSchema, group, inc, latency, Metrics, perDevice, store } from 'vmm-metrics';

import { bad } from './helpers/errors.ts';
import { closing, freshName } from './helpers/workplace.ts';

const schema = defineSchema({ g: group({ n: inc('n'), level: store('level'), time: latency('time') }), d: perDevice({ n: inc('n') }) });
const open = () => closing(Metrics.open(schema, { name: freshName() }));

const values = [
  { value: -1, error: RangeError, shown: '-1' },
  { value: -1n, error: RangeError, shown: '-1n' },
  { value: 1.5, error: RangeError, shown: '1.5' },
  { value: Number.NaN, error: RangeError, shown: 'NaN' },
  { value: Number.POSITIVE_INFINITY, error: RangeError, shown: 'Infinity' },
  { value: 2 ** 53, error: RangeError, shown: '9007199254740992' },
  { value: 2 ** 64, error: RangeError, shown: '18446744073709552000' },
  { value: 2n ** 64n, error: RangeError, shown: '18446744073709551616n' },
  { value: '3', error: TypeError, shown: "'3'" },
  { value: null, error: TypeError, shown: 'null' },
  { value: undefined, error: TypeError, shown: 'undefined' },
  { value: {}, error: TypeError, shown: '{}' },
  { value: [1], error: TypeError, shown: '[' },
  { value: true, error: TypeError, shown: 'true' },
];

describe('given an invalid value', () => {
  test.each(values)('when $shown is added, stored or observed, then an error names it and nothing changes', ({ value, error, shown }) => {
    const metrics = open();
    metrics.app.g.n.add(2);
    metrics.app.g.level.store(3);
    metrics.app.g.time.observe(4);
    const before = metrics.snapshot();
    const uses = [
      () => metrics.app.g.n.add(bad(value)),
      () => metrics.app.g.level.store(bad(value)),
      // observe() rounds a fraction.
      ...(value === 1.5 ? [] : [() => metrics.app.g.time.observe(bad(value))]),
    ];
    for (const use of uses) {
      expect(use).toThrow(error);
      expect(use).toThrow(shown);
    }
    expect(metrics.snapshot()).toEqual(before);
  });

  test('when a duration is a fraction, then it is rounded', () => {
    const { time } = open().app.g;
    for (const us of [0.4, 1.5, 2.49]) time.observe(us);
    expect([time.min_us.fetch(), time.max_us.fetch(), time.sum_us.count()]).toEqual([0n, 2n, 4n]);
  });

  test('when a value is at the limit, then it is accepted', () => {
    const metrics = open();
    for (const value of [0, 0n, -0, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2n ** 64n - 1n]) {
      const { n, level, time } = metrics.app.g;
      const before = n.count();
      n.add(value);
      level.store(value);
      time.observe(value);
      expect(n.count()).toBe(BigInt.asUintN(64, before + BigInt(value)));
      expect(level.fetch()).toBe(BigInt(value));
      expect(time.max_us.fetch()).toBe(BigInt(value));
    }
  });
});

describe('given an invalid device id', () => {
  test.each([
    { name: 'empty', id: '', error: RangeError, message: /must not be empty/ },
    { name: 'with NUL', id: 'a\0b', error: RangeError, message: /must not contain NUL/ },
    { name: '256 bytes', id: 'a'.repeat(256), error: RangeError, message: /at most 255 bytes of UTF-8; got 256 bytes/ },
    { name: '256 bytes of two each', id: 'ü'.repeat(128), error: RangeError, message: /got 256 bytes/ },
    { name: 'a lone surrogate', id: 'a\ud800', error: RangeError, message: /lone surrogates/ },
    { name: 'a number', id: 3, error: TypeError, message: /device id must be a string; got 3/ },
    { name: 'null', id: null, error: TypeError, message: /got null/ },
    { name: 'missing', id: undefined, error: TypeError, message: /got undefined/ },
  ])('when it is $name, then alloc and remove reject it, and no device is made', ({ id, error, message }) => {
    const metrics = open();
    for (const use of [() => metrics.app.d.alloc(bad(id)), () => metrics.app.d.remove(bad(id))]) {
      expect(use).toThrow(error);
      expect(use).toThrow(message);
    }
    expect(metrics.app.d.ids()).toEqual([]);
  });
});

describe('given invalid options', () => {
  test.each([
    {
      name: 'open: misspelled',
      use: () => Metrics.open(schema, bad({ nmae: 'x' })),
      error: TypeError,
      message: /Metrics\.open\(\): unknown option 'nmae'/,
    },
    {
      name: 'open: a name that is no string',
      use: () => Metrics.open(schema, bad({ name: 1 })),
      error: TypeError,
      message: /name must be a string; got 1/,
    },
    {
      name: 'open: an id that is no string',
      use: () => Metrics.open(schema, bad({ id: 1 })),
      error: TypeError,
      message: /id must be a string/,
    },
    {
      name: 'open: properties of numbers',
      use: () => Metrics.open(schema, bad({ properties: { a: 1 } })),
      error: TypeError,
      message: /properties\.a must be a string; got 1/,
    },
    {
      name: 'open: properties in a list',
      use: () => Metrics.open(schema, bad({ properties: ['a'] })),
      error: TypeError,
      message: /properties must be an object/,
    },
    {
      name: 'open: an id with a lone surrogate',
      use: () => Metrics.open(schema, { id: '\udfff' }),
      error: RangeError,
      message: /id must be valid Unicode/,
    },
    {
      name: 'open: options in a text',
      use: () => Metrics.open(schema, bad('vm0')),
      error: TypeError,
      message: /options must be an object; got 'vm0'/,
    },
    {
      name: 'open: a plain object as schema',
      use: () => Metrics.open(bad({ shape: { g: schema.shape.g } })),
      error: Error,
      message: /must come from defineSchema/,
    },
    {
      name: 'open: no schema',
      use: () => Metrics.open(bad(undefined)),
      error: Error,
      message: /must come from defineSchema\(\); got undefined/,
    },
    {
      name: 'startPeriodicFlush: misspelled',
      use: () => open().startPeriodicFlush(bad({ interval: 5 })),
      error: TypeError,
      message: /unknown option 'interval'/,
    },
    {
      name: 'startPeriodicFlush: 0',
      use: () => open().startPeriodicFlush({ intervalMs: 0 }),
      error: RangeError,
      message: /intervalMs .*got 0/,
    },
    { name: 'startPeriodicFlush: 0.5', use: () => open().startPeriodicFlush({ intervalMs: 0.5 }), error: RangeError, message: /got 0\.5/ },
    {
      name: 'startPeriodicFlush: NaN',
      use: () => open().startPeriodicFlush({ intervalMs: Number.NaN }),
      error: RangeError,
      message: /got NaN/,
    },
    {
      name: 'startPeriodicFlush: 2^31',
      use: () => open().startPeriodicFlush({ intervalMs: 2 ** 31 }),
      error: RangeError,
      message: /got 2147483648/,
    },
    {
      name: 'startPeriodicFlush: a text',
      use: () => open().startPeriodicFlush(bad({ intervalMs: '5' })),
      error: TypeError,
      message: /got '5'/,
    },
    {
      name: 'captureSignals: no list',
      use: () => open().captureSignals(bad({ signals: 'SIGHUP' })),
      error: TypeError,
      message: /must be a list.*'SIGHUP'/,
    },
    { name: 'captureSignals: none', use: () => open().captureSignals({ signals: [] }), error: RangeError, message: /must not be empty/ },
    {
      name: 'captureSignals: SIGKILL',
      use: () => open().captureSignals(bad({ signals: ['SIGKILL'] })),
      error: RangeError,
      message: /no process can handle SIGKILL/,
    },
    {
      name: 'captureSignals: a number for ignored',
      use: () => open().captureSignals(bad({ ignored: 1 })),
      error: TypeError,
      message: /ignored must be 'count' or 'leave'; got 1/,
    },
    { name: 'captureSignals: ignored', use: () => open().captureSignals(bad({ ignored: 'no' })), error: RangeError, message: /got 'no'/ },
    { name: 'captureSignals: limitMs', use: () => open().captureSignals({ limitMs: -1 }), error: RangeError, message: /limitMs .*got -1/ },
    {
      name: 'captureSignals: unknown',
      use: () => open().captureSignals(bad({ signal: 'SIGHUP' })),
      error: TypeError,
      message: /unknown option 'signal'/,
    },
    {
      name: 'reportStartTime: misspelled',
      use: () => open().reportStartTime(bad({ startTime: 1 })),
      error: TypeError,
      message: /unknown option 'startTime'/,
    },
  ])('when $name, then an error names it', ({ use, error, message }) => {
    expect(use).toThrow(error);
    expect(use).toThrow(message);
  });

  test('when a property of the identity is a key of the schema, then ERR_METRICS_SCHEMA is thrown', () => {
    const withId = defineSchema({ id: group({ n: inc('n') }) });
    expect(() => Metrics.open(withId, { name: freshName(), id: 'x' })).toThrow(expect.objectContaining({ code: 'ERR_METRICS_SCHEMA' }));
    closing(Metrics.open(withId, { name: freshName() }));
  });
});

describe('given an invalid destination', () => {
  const folder = { path: '' };
  beforeAll(() => {
    folder.path = execFileSync('mktemp', ['-d'], { encoding: 'utf8' }).trim();
    return () => execFileSync('rm', ['-r', folder.path]);
  });

  test.each([
    { name: 'empty', destination: '', error: RangeError, message: /must not be empty/ },
    { name: 'with NUL', destination: 'a\0b', error: RangeError, message: /NUL/ },
    { name: 'negative', destination: -1, error: RangeError, message: /must be an integer from 0 to 2147483647; got -1/ },
    { name: 'fractional', destination: 1.5, error: RangeError, message: /got 1\.5/ },
    { name: 'null', destination: null, error: TypeError, message: /path or a descriptor; got null/ },
    { name: 'missing', destination: undefined, error: TypeError, message: /got undefined/ },
    { name: 'an object', destination: {}, error: TypeError, message: /got \{\}/ },
  ])('when it is $name, then an error names it, and a good destination is still accepted', ({ destination, error, message }) => {
    const metrics = open();
    expect(() => metrics.init(bad(destination))).toThrow(error);
    expect(() => metrics.init(bad(destination))).toThrow(message);
    expect(metrics.write()).toBe(false);
    metrics.init('/dev/null');
    expect(metrics.write()).toBe(true);
  });

  test.each([
    { name: 'a folder', destination: () => folder.path, code: 'EISDIR' },
    { name: 'in a folder that is not there', destination: () => `${folder.path}/no/lines`, code: 'ENOENT' },
    { name: 'below a file', destination: () => '/dev/null/lines', code: 'ENOTDIR' },
    { name: 'too long', destination: () => `/${'a'.repeat(5000)}`, code: 'ENAMETOOLONG' },
    { name: 'a descriptor that is not open', destination: () => 987_654, code: 'EBADF' },
    { name: 'a descriptor for reading', destination: () => openSync('/dev/null', 'r'), code: 'EBADF' },
    { name: 'a descriptor of a folder', destination: () => openSync(folder.path, 'r'), code: 'EBADF' },
  ])('when it is $name, then ERR_METRICS_OPEN with $code is thrown, and a good destination is still accepted', ({ destination, code }) => {
    const metrics = open();
    const cause = expect.objectContaining({ code, errno: expect.any(Number), syscall: expect.any(String) });
    const where = destination();
    expect(() => metrics.init(where)).toThrow(
      expect.objectContaining({ code: 'ERR_METRICS_OPEN', message: expect.stringContaining(code), cause }),
    );
    metrics.init(`${folder.path}/lines`);
    expect(metrics.write()).toBe(true);
  });
});

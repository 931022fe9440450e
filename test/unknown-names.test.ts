// A name that an accessor object does not have gives an error with the names that exist. Nothing else changes.

import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { defineSchema, group, inc, Metrics, perDevice } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { closing, freshName } from './helpers/workplace.ts';

const open = () => closing(Metrics.open(firecracker, { name: freshName() }));
/** Accessors as plain JavaScript sees them: the types would refuse these tests. */
// biome-ignore lint/suspicious/noExplicitAny: see above.
type Untyped = any;
const appOf = (metrics: { app: unknown }) => metrics.app as Untyped;

describe('given a misspelt name in plain JavaScript', () => {
  test.each([
    {
      what: 'a metric',
      use: (app: Untyped) => app.vcpu.exit_io_outt.inc(),
      says: /^metrics\.app\.vcpu has no 'exit_io_outt'; did you mean 'exit_io_out'\? there are 'exit_io_in', /,
    },
    { what: 'a group', use: (app: Untyped) => app.vcpus, says: /^metrics\.app has no 'vcpus'; did you mean 'vcpu'\? .* and \d+ more$/ },
    {
      what: 'nothing like it',
      use: (app: Untyped) => app.vcpu.zzz.inc(),
      says: /^metrics\.app\.vcpu has no 'zzz'; there are 'exit_io_in'/,
    },
    {
      what: 'a metric of a device',
      use: (app: Untyped) => app.pmem.alloc('a').evnt_fails.inc(),
      says: /^metrics\.app\.pmem\.alloc\(id\) has no 'evnt_fails'; did you mean 'event_fails'\?/,
    },
    {
      what: 'a metric of devices without a device',
      use: (app: Untyped) => app.pmem.event_fails.inc(),
      says: /^metrics\.app\.pmem is a group of devices: 'event_fails' .* metrics\.app\.pmem\.alloc\(id\)\.event_fails$/,
    },
    {
      what: 'a method of devices',
      use: (app: Untyped) => app.pmem.list(),
      says: /^metrics\.app\.pmem has no 'list': .* alloc\(id\), ids\(\)/,
    },
  ])('when it is $what, then an error lists the names that exist', ({ use, says }) => {
    const metrics = open();
    expect(() => use(appOf(metrics))).toThrow(TypeError);
    expect(() => use(appOf(metrics))).toThrow(says);
  });
});

describe('given accessors', () => {
  test('when JavaScript and its tools read the usual names of objects, then nothing throws', async () => {
    const metrics = closing(
      Metrics.open(defineSchema({ g: group({ n: inc('n') }), d: perDevice({ n: inc('n') }) }), { name: freshName() }),
    );
    const app = appOf(metrics);
    metrics.app.d.alloc('a');
    for (const object of [app, app.g, app.d, app.d.alloc('a')]) {
      expect(await object).toBe(object);
      expect(`${object}`).toBe('[object Object]');
      expect(JSON.parse(JSON.stringify({ object }))).toHaveProperty('object');
      expect(inspect(object, { depth: 4, showProxy: true, showHidden: true })).toBeTypeOf('string');
      expect('misspelt' in object).toBe(false);
      expect(object[0]).toBe(undefined);
      expect(object.constructor?.name).not.toBe('Proxy');
      expect(object).toEqual(object);
      assert.deepEqual(object, object);
      expect(() => expect(object).toEqual({ other: 1 })).toThrow(/expected/);
    }
    expect(Object.keys(app)).toEqual(['g', 'd']);
    expect(Object.keys({ ...app.g })).toEqual(['n']);
    const seen: string[] = [];
    for (const name in app.g) seen.push(name);
    expect(seen).toEqual(['n']);
    expect(inspect(app.g)).toMatch(/^\{ n: \w+ \{.*\} \}$/);
  });

  test('when they are written to, then nothing changes', () => {
    const metrics = open();
    const app = appOf(metrics);
    const before = app.vcpu.exit_io_in;
    for (const name of ['exit_io_in', 'another']) {
      expect(() => {
        app.vcpu[name] = 1;
      }).toThrow(TypeError);
    }
    expect(app.vcpu.exit_io_in).toBe(before);
    for (const name of ['alloc', 'event_fails']) {
      expect(() => {
        app.pmem[name] = 1;
      }).toThrow(TypeError);
    }
  });
});

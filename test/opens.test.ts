// Each open() of a thread needs its own close().

import { describe, expect, test } from 'vitest';
import { defineSchema, group, inc, Metrics } from 'vmm-metrics';

import { closed } from './helpers/errors.ts';
import { SecondThread } from './helpers/second-thread.ts';
import { freshName, linesIn, sumOf, temporaryFolder } from './helpers/workplace.ts';

const schema = defineSchema({ g: group({ n: inc('n') }) });

describe('given metrics that a function and its helper both open', () => {
  test('when the helper closes its metrics, then the metrics of its caller stay open, and no increment is lost', () => {
    const name = freshName();
    const path = `${temporaryFolder()}/lines`;
    const helper = () => {
      const metrics = Metrics.open(schema, { name });
      metrics.app.g.n.inc();
      metrics[Symbol.dispose]();
    };
    const metrics = Metrics.open(schema, { name });
    metrics.init(path);
    helper();
    for (let i = 0; i < 1000; i++) metrics.app.g.n.inc();
    helper();
    expect(metrics.app.g.n.count()).toBe(1002n);
    expect(Metrics.open(schema, { name })).toBe(metrics);
    metrics.close();
    expect(metrics.write()).toBe(true);
    metrics.close();
    expect(() => metrics.write()).toThrow(closed);
    expect(sumOf(linesIn(path), 'g.n')).toBe(1002n);
  });

  test('when closed metrics are closed again, then that does nothing, also to metrics that were opened since', () => {
    const name = freshName();
    const old = Metrics.open(schema, { name });
    old.close();
    old.close();
    const anew = Metrics.open(schema, { name });
    expect(anew).not.toBe(old);
    old.close();
    anew.app.g.n.inc();
    expect(anew.app.g.n.count()).toBe(1n);
    anew.close();
  });

  test('when an open() fails, then it needs no close()', () => {
    const name = freshName();
    const metrics = Metrics.open(schema, { name });
    expect(() => Metrics.open(schema, { name, id: 'x' })).toThrow(/option id/);
    expect(() => Metrics.open(defineSchema({ other: schema.shape.g }), { name })).toThrow(/other/);
    metrics.close();
    expect(() => metrics.write()).toThrow(closed);
  });

  test('when a thread that opened them twice ends without close(), then the name is free', async () => {
    const thread = new SecondThread();
    const name = freshName();
    thread.call('open', schema.shape, { name });
    thread.call('open', schema.shape, { name });
    await thread.end();
    const other = Metrics.open(defineSchema({ other: schema.shape.g }), { name });
    other.close();
  });
});

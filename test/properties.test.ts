// What must hold for any schema, any order of operations and any failing sink, against the plain model in
// `helpers/model.ts`:
//
// - count() is the sum of the deltas in the lines that got out and of the deltas still pending, modulo 2^64;
// - the aggregate in a line is the sum of the line's devices and of what removed devices still counted;
// - except for the timestamp, each complete line is the model's, byte for byte: the keys are in the schema's order, the
//   devices are sorted by the bytes of their ids, store values are the latest, and extremes are right;
// - snapshot(), ids(), count(), fetch() and the results of alloc() and remove() are the model's.
//
// VMM_METRICS_SOAK_SECONDS=600 runs the tests for 600 seconds.

import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { defineSchema, group, inc, Metrics, perDevice } from 'vmm-metrics';

import { scenario } from './helpers/any-scenario.ts';
import { collectGarbage, Play } from './helpers/play.ts';
import { SecondThread } from './helpers/second-thread.ts';
import { soakSeconds } from './helpers/soak.ts';
import { at, freshName, linesIn, temporaryFolder } from './helpers/workplace.ts';

test(
  'given any schema and a sink that fails and changes, when threads count, devices come and go and lines are written, then everything matches the model',
  async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(scenario, async (one) => {
        if (++runs % 20 === 0) await collectGarbage();
        const play = new Play(one);
        try {
          play.run();
        } finally {
          play.close();
        }
      }),
      soakSeconds > 0
        ? { numRuns: 1_000_000_000, interruptAfterTimeLimit: soakSeconds * 1000 }
        : { numRuns: 600, interruptAfterTimeLimit: 13_000 },
    );
  },
  600_000 + soakSeconds * 1000,
);

test(
  'given threads that count all the time, when lines are written and devices come and go, then every delta is in exactly one line',
  async () => {
    const shape = { dev: perDevice({ hits: inc('counted') }), g: group({ hits: inc('counted') }) };
    const name = freshName();
    const metrics = Metrics.open(defineSchema(shape), { name });
    const threads = [new SecondThread(), new SecondThread()];
    const path = `${temporaryFolder()}/lines`;
    onTestFinished(async () => {
      metrics.close();
      for (const thread of threads) await thread.end();
    });
    metrics.init(path);
    const ids = ['a', 'b', 'c', 'd'];
    for (const id of ids) metrics.app.dev.alloc(id);
    for (const thread of threads) {
      thread.call('open', shape, { name });
      ids.forEach((id, i) => void thread.call('hold', i, 'dev', id));
      thread.call('hold', ids.length, 'g');
    }
    const races = threads.map((thread) => {
      const stop = new Int32Array(new SharedArrayBuffer(8));
      const rounds = new BigUint64Array(new SharedArrayBuffer(8));
      thread.call('race', [...ids.keys(), ids.length], 'hits', stop, rounds);
      return { stop, rounds };
    });
    metrics.startPeriodicFlush({ intervalMs: 1 }); // so that two threads write
    // First without removals, then with removals. The threads go on counting on removed devices.
    const rest = new Int32Array(new SharedArrayBuffer(4));
    const writeFor = (ms: number) => {
      for (const endAt = Date.now() + ms; Date.now() < endAt; Atomics.wait(rest, 0, 0, 1)) {
        for (let i = 0; i < 10; i++) metrics.write();
      }
    };
    const seconds = Math.max(1, soakSeconds / 20);
    const counted = () => metrics.snapshot().g.hits;
    // A busy machine needs longer until every thread has done something.
    do writeFor(seconds * 500);
    while (linesIn(path).length <= 100 || counted() <= 1000n);
    const aloneUntil = linesIn(path).length;
    for (let i = 0; i < 20; i++) {
      if (!metrics.app.dev.remove('c')) metrics.app.dev.alloc('c');
      writeFor(seconds * 25);
    }
    for (const { stop } of races) {
      Atomics.store(stop, 0, 1);
      Atomics.wait(stop, 1, 0);
    }
    metrics.write();

    const rounds = races.reduce((sum, race) => sum + race.rounds[0]!, 0n);
    const lines = linesIn(path);
    const deltas = (path: string) => lines.map((line) => at(line, path) as bigint);
    const total = (all: bigint[]) => all.reduce((sum, delta) => sum + delta, 0n);
    expect(total(deltas('g.hits'))).toBe(rounds);
    expect(total(deltas('dev_a.hits'))).toBe(rounds);
    expect(total(deltas('dev.hits'))).toBe(rounds * BigInt(ids.length));
    expect(metrics.snapshot().dev.aggregate.hits).toBe(rounds * BigInt(ids.length));
    const sums = lines.slice(0, aloneUntil).map((line) => total(ids.map((id) => at(line, `dev_${id}.hits`) as bigint)));
    expect(deltas('dev.hits').slice(0, aloneUntil)).toEqual(sums);
  },
  600_000 + soakSeconds * 1000,
);

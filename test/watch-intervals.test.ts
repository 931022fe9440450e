// What `vmm-metrics watch` says of latencies and histograms: the values between two readings.

import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { defineSchema, group, histogram, latency, Metrics, perDevice } from 'vmm-metrics';

import { latencyNote } from '../lib/cli/rows.ts';
import { WatchSources, watchedRows } from '../lib/cli/watch-sources.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';

test('given values before and after a reading, when a file is read again, then mean and quantiles are those of the later values', () => {
  const schema = defineSchema({
    g: group({
      exit: latency('with buckets', { histogram: true }),
      plain: latency('without'),
      size: histogram('sizes', { unit: 'bytes' }),
    }),
    disk: perDevice({ io: latency('io', { histogram: true }) }),
  });
  const file = join(temporaryFolder(), 'm.region');
  const { app } = closing(Metrics.open(schema, { name: freshName(), file }));
  const disk = app.disk.alloc('d');
  const sources = new WatchSources([file]);
  onTestFinished(() => sources.close());
  const notes = () => {
    sources.refresh();
    return Object.fromEntries(watchedRows(sources.all[0]!, true).rows.map((row) => [`${row.section}.${row.name}`, latencyNote(row)]));
  };

  for (let i = 0; i < 1000; i++) {
    app.g.exit.observe(5000);
    app.g.plain.observe(10);
    app.g.size.observe(64);
  }
  const first = notes();
  expect(first['g.exit']).toMatch(/^sum; min 5,000, max 5,000; mean 5 ms of 1,000; p50 5(\.\d+)? ms, p90 /);
  expect(first['g.plain']).toBe('sum; min 10, max 10; mean 10 us of 1,000');

  for (let i = 0; i < 10; i++) {
    app.g.exit.observe(3);
    app.g.plain.observe(2);
    disk.io.observe(7);
  }
  const second = notes();
  expect(second['g.exit']).toMatch(
    /^sum; min 3, max 5,000; mean 3 us of 10 new; p50 3(\.\d+)? us, p90 3(\.\d+)? us, p99 3(\.\d+)? us, p99\.9 3/,
  );
  expect(second['g.plain']).toBe('sum; min 2, max 10; mean 2 us of 10 new');
  expect(second['g.size']).toBe('sum; min 64, max 64; nothing new');
  for (const section of ['disk d', 'disk, all devices'])
    expect(second[`${section}.io`]).toMatch(/mean 7 us of 10 new; p50 [67](\.\d+)? us/);

  // A reading without an earlier one of the same devices has what was counted since the start.
  app.disk.alloc('e');
  expect(notes()['g.exit']).toMatch(/mean 4.95 ms of 1,010; /);
  expect(notes()['g.exit']).toMatch(/; nothing new$/);
});

// A store in a jail: limits that are set after the store was opened.

import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { defineSchema, group, inc, Metrics, perDevice, readRegion } from 'vmm-metrics';

import { runChild } from './helpers/children.ts';
import { descriptorsOf } from './helpers/descriptors.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';

const inJail = async (plan: object) => {
  const { stdout, stderr, code } = await runChild('jail.mjs', [JSON.stringify(plan)]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
};

test('given a limit on file sizes that is set after the open, when devices are allocated, then all are made, and no SIGXFSZ is counted', async () => {
  expect(await inJail({ fileBytes: 65_536, devices: 500 })).toEqual({ made: 500, error: null, counted: 500, sigxfsz: 0 });
});

test('given a region file and a limit on file sizes that is set later, when it is reached, then alloc() throws, and no SIGXFSZ is counted', async () => {
  const { made, error, counted, sigxfsz } = await inJail({ fileBytes: 200_000, devices: 500, file: `${temporaryFolder()}/region` });
  expect(error).toEqual({ code: 'ERR_METRICS_NO_SPACE', message: expect.stringContaining(`'eth${made}'`), cause: 'EFBIG' });
  expect(made).toBeGreaterThan(0);
  expect({ counted, sigxfsz }).toEqual({ counted: made, sigxfsz: 0 });
});

test('given a store without a file, when its memory is read under /proc, then it holds the values, and takes little space', async () => {
  const schema = defineSchema({ g: group({ hits: inc('Hits') }), dev: perDevice({ ops: inc('Operations') }) });
  const metrics = closing(Metrics.open(schema, { name: freshName() }));
  metrics.app.g.hits.add(5);
  metrics.app.dev.alloc('a').ops.add(7);
  const path = `/proc/${process.pid}/fd/${descriptorsOf(/memfd:vmm-metrics/)[0]}`;
  const { state, pid, values } = await readRegion(path);
  expect({ state, pid }).toEqual({ state: 'running', pid: process.pid });
  expect(values).toMatchObject({ g: { hits: 5n }, dev: { aggregate: { ops: 7n } } });
  // A copy takes no room for memory that was never used.
  expect(Number(execFileSync('stat', ['-L', '-c', '%b', path], { encoding: 'utf8' }))).toBeLessThan(1000);
});

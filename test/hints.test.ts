// Warnings about mistakes that would stay unnoticed. Each appears once in a process, has a stable code, and says what
// to do.

import { describe, expect, test } from 'vitest';

import { runChild } from './helpers/children.ts';

/** The warnings that a fixture prints, one per line, without those of Node itself. */
async function warningsOf(way: string): Promise<string[]> {
  const { code, signal, stdout, stderr } = await runChild('hints.mjs', [way]);
  expect({ code, signal }, stderr).toEqual({ code: 0, signal: null });
  return stdout.split('\n').slice(0, -1);
}

describe('given a periodic flush', () => {
  test.each([
    'noSink',
    'worker',
  ])('when it has run for an interval and init() was never called (%s), then there is one warning', async (way) => {
    expect(await warningsOf(way)).toEqual([
      expect.stringMatching(/^MetricsWarning METRICS_NO_SINK startPeriodicFlush\(\) of the store 'default' .* Call metrics\.init\(/),
    ]);
  });

  test('when the store has a sink by then, or is closed, then there is no warning', async () => {
    expect(await warningsOf('sink')).toEqual([]);
  });
});

describe('given a second store with the same schema', () => {
  test.each([
    { way: 'forgottenName', name: 'default', other: 'vm0', forgot: /perhaps this Metrics\.open\(\) lacks \{ name: 'vm0' \}/ },
    { way: 'forgottenInWorker', name: 'default', other: 'vm0', forgot: /perhaps this Metrics\.open\(\) lacks \{ name: 'vm0' \}/ },
    { way: 'forgottenFirst', name: 'vm0', other: 'default', forgot: /perhaps an earlier call lacks \{ name: 'vm0' \}/ },
  ])('when one of the stores has no name ($way), then one warning names both', async ({ way, name, other, forgot }) => {
    const warnings = await warningsOf(way);
    expect(warnings).toEqual([expect.stringMatching(`^MetricsWarning METRICS_SECOND_STORE The store '${name}' .* '${other}' `)]);
    expect(warnings[0]).toMatch(forgot);
  });

  test('when each store has a name, or the schemas differ, or a thread attaches, then there is no warning', async () => {
    expect(await warningsOf('legitimate')).toEqual([]);
  });
});

describe('given two copies of the package in a process', () => {
  test('when the second copy opens stores, then one warning names the paths of both copies', async () => {
    const [warning, ...more] = await warningsOf('copies');
    expect(warning).toMatch(
      /^MetricsWarning METRICS_TWO_COPIES .*\/vmm_metrics\.node and .*\/vmm_metrics\.node\. Each copy has stores of its own\. Install/,
    );
    expect(more).toEqual([]);
  });

  test.each([
    'copiesOfOneName',
    'copyInWorker',
  ])('when both copies open a store with the same name (%s), then the warning says that the stores are separate', async (way) => {
    expect(await warningsOf(way)).toEqual([
      expect.stringMatching(/^MetricsWarning METRICS_TWO_COPIES .* Each copy has a store 'a', and neither counts what the other counts\./),
    ]);
  });

  test('when the first copy has closed its stores, then there is no warning', async () => {
    expect(await warningsOf('copyAfterClose')).toEqual([]);
  });
});

// What console.log() and util.inspect() show of accessors and stores.

import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { defineSchema, group, histogram, inc, latency, Metrics, perDevice, store } from 'vmm-metrics';

import { accessorOf } from '../lib/accessors/accessors.ts';
import { layoutOf, staticMetrics } from '../lib/layout.ts';
import { node } from './helpers/children.ts';
import { closing, freshName } from './helpers/workplace.ts';
import { cellsFor } from './helpers/write-modes.ts';

const schema = defineSchema({
  vcpu: group({ exits: inc('Exits'), state: store('State'), exit_agg: latency('Time'), idle: inc('Never counted') }),
  sizes: group({ request: histogram('Size', { unit: 'bytes', max: 1024 }), read: latency('Time', { histogram: true }) }),
  block: perDevice({ reads: inc('Reads'), depth: store('Depth'), read_agg: latency('Time') }),
});

function counted(metrics = closing(Metrics.open(schema, { name: freshName() }))) {
  const { vcpu, sizes } = metrics.app;
  vcpu.exits.add(3);
  vcpu.state.store(7);
  vcpu.exit_agg.observe(5);
  sizes.request.observe(512);
  sizes.read.observe(20);
  const rootfs = metrics.app.block.alloc('rootfs');
  rootfs.reads.inc();
  rootfs.depth.store(4);
  return { metrics, rootfs };
}

describe('given a store that has counted', () => {
  const { metrics, rootfs } = counted(Metrics.open(schema, { name: freshName() }));
  const { vcpu, sizes, block } = metrics.app;
  afterAll(() => metrics.close());

  test.each([
    { of: vcpu.exits, shown: "IncMetric { name: 'vcpu.exits', count: 3n }" },
    { of: vcpu.state, shown: "StoreMetric { name: 'vcpu.state', value: 7n }" },
    { of: vcpu.idle, shown: "IncMetric { name: 'vcpu.idle', count: 0n }" },
    { of: vcpu.exit_agg, shown: "LatencyMetric { name: 'vcpu.exit_agg', min_us: 5n, max_us: 5n, sum_us: 5n }" },
    { of: vcpu.exit_agg.min_us, shown: "StoreMetric { name: 'vcpu.exit_agg.min_us', value: 5n }" },
    { of: vcpu.exit_agg.max_us, shown: "StoreMetric { name: 'vcpu.exit_agg.max_us', value: 5n }" },
    { of: vcpu.exit_agg.sum_us, shown: "IncMetric { name: 'vcpu.exit_agg.sum_us', count: 5n }" },
    { of: rootfs.reads, shown: "IncMetric { name: 'block_rootfs.reads', count: 1n }" },
    { of: rootfs.depth, shown: "StoreMetric { name: 'block_rootfs.depth', value: 4n }" },
    { of: rootfs.read_agg, shown: "LatencyMetric { name: 'block_rootfs.read_agg', min_us: 0n, max_us: 0n, sum_us: 0n }" },
    { of: block, shown: "Devices { name: 'block', ids: [ 'rootfs' ] }" },
  ])('when an accessor is inspected, then it shows $shown', ({ of, shown }) => {
    expect(inspect(of, { breakLength: Number.POSITIVE_INFINITY })).toBe(shown);
  });

  test('when a histogram is inspected, then it shows its unit, extremes and quantiles', () => {
    const text = inspect(sizes.request, { breakLength: Number.POSITIVE_INFINITY });
    expect(text).toMatch(
      /^HistogramMetric \{ name: 'sizes.request', unit: 'bytes', count: 1n, sum: 512n, min: 512n, max: 512n, p50: [\d.]+, p99: [\d.]+ \}$/,
    );
    expect(inspect(sizes.read)).toMatch(/^HistogramMetric \{\s+name: 'sizes\.read',\s+unit: 'us',\s+count: 1n/);
  });

  test('when a group is inspected, then each of its metrics shows its name and value', () => {
    expect(inspect(vcpu)).toContain("exits: IncMetric { name: 'vcpu.exits', count: 3n }");
  });

  test('when an accessor is deeper than inspect() looks, then its kind and name remain', () => {
    expect(inspect({ a: { b: { c: vcpu.exits } } }, { depth: 2 })).toContain('[IncMetric vcpu.exits]');
  });

  test('when the store is inspected, then it shows its name, and the values that are not 0', () => {
    expect(inspect(metrics, { depth: 5 })).toContain(`Metrics {\n  name: '${metrics.name}',`);
    const values = /vcpu: \{[^}]*\}/.exec(inspect(metrics))?.[0];
    expect(values).toContain('exits: 3n');
    expect(values).not.toContain('idle');
    expect(inspect([[[metrics]]], { depth: 2 })).toContain(`[Metrics ${metrics.name}]`);
  });
});

test('given a device that was removed, when its cells have gone to others, then its accessors show that it is removed', () => {
  const { metrics, rootfs } = counted();
  metrics.app.block.remove('rootfs');
  for (let i = 0; i < 40; i++) {
    metrics.app.block.alloc(`d${i}`).reads.inc();
    metrics.app.block.remove(`d${i}`);
  }
  metrics.app.block.ids();
  expect(inspect(rootfs.reads)).toMatch(/IncMetric \{ name: 'block.reads of a removed device', count: \d+n \}/);
  expect(inspect(rootfs.depth)).toBe("StoreMetric { name: 'a metric of a removed device', value: 4n }");
});

test('given a closed store, when it and its accessors are inspected, then they show their names, and that it is closed', () => {
  const { metrics, rootfs } = counted();
  metrics.close();
  expect(inspect(metrics)).toBe(`Metrics { name: '${metrics.name}', closed: true }`);
  expect(inspect(metrics.app.vcpu.exits)).toBe("IncMetric { name: 'vcpu.exits', closed: true }");
  expect(inspect(metrics.app.vcpu.state)).toBe("StoreMetric { name: 'vcpu.state', closed: true }");
  expect(inspect(metrics.app.sizes.request)).toBe("HistogramMetric { name: 'sizes.request', closed: true }");
  expect(inspect(rootfs.reads)).toBe("IncMetric { name: 'block_rootfs.reads', closed: true }");
  expect(inspect(metrics.app.block)).toBe("Devices { name: 'block', closed: true }");
});

test.each([
  'own',
  'shared',
  'native',
] as const)('given a thread that writes in the way `%s`, when it inspects, then names and values are right', (mode) => {
  const cells = cellsFor(mode, freshName(), schema, layoutOf(schema));
  const texts = staticMetrics(layoutOf(schema)).map((metric) => {
    const accessor = accessorOf(cells, metric, metric.cell) as { inc?(): void; store?(n: number): void; observe?(n: number): void };
    accessor.inc?.();
    accessor.store?.(1);
    accessor.observe?.(1);
    return { path: metric.path, text: inspect(accessor) };
  });
  for (const { path, text } of texts) {
    expect(text).toContain(`name: '${path}'`);
    expect(text).toMatch(/(count|value|sum_us): 1n/);
  }
  cells.close();
});

test('given two threads that count in one store, when each inspects, then each shows the sum of both', () => {
  const lib = resolve(import.meta.dirname, '../dist/lib/index.js');
  const code = `
    const { Worker, isMainThread, parentPort } = require('node:worker_threads');
    import('${lib}').then(({ Metrics, defineSchema, group, inc }) => {
      const metrics = Metrics.open(defineSchema({ vcpu: group({ exits: inc('Exits') }) }), { name: 'vm0' });
      metrics.app.vcpu.exits.add(2);
      if (isMainThread) new Worker(process.argv[1], { eval: true, argv: [process.argv[1]] }).on('message', (text) => console.log(text, metrics.app.vcpu.exits));
      else parentPort.postMessage(require('node:util').inspect(metrics.app.vcpu.exits));
    });`;
  const shown = execFileSync(node, ['-e', 'eval(process.argv[1])', code], { encoding: 'utf8' });
  expect(shown).toBe("IncMetric { name: 'vcpu.exits', count: 4n } IncMetric { name: 'vcpu.exits', count: 4n }\n");
});

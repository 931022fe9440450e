// exposition(): text for Prometheus and OpenMetrics, compared with exact text, with a second way to write it, and with
// independent readers where the machine has them.

import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { defineSchema, group, inc, latency, Metrics, perDevice, readRegion, type Schema, store, utcTimestampMs } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';
import { contentType, type ExpositionFormat, exposition, expositionBytes } from 'vmm-metrics/prometheus';

import { writeDecimal } from '../lib/prometheus/decimal.ts';
import { decimal, plainExposition } from './helpers/plain-exposition.ts';
import { parsedStrictly, promtoolCheck, withoutParser, withoutPromtool } from './helpers/prometheus-tools.ts';
import { randomFrom } from './helpers/random.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';

const FORMATS: readonly ExpositionFormat[] = ['text', 'openmetrics'];

const schema = defineSchema({
  utc_timestamp_ms: utcTimestampMs(),
  vcpu: group({
    exits: inc('KVM exits, "all"\nof them \\ of all kinds'),
    busy_us: inc('Time spent in the guest'),
    start_ms: store('When the vCPU started'),
    time: latency('Time of an exit'),
  }),
  disk: perDevice({
    read: inc('Data read', { unit: 'bytes' }),
    sent_bytes_count: inc('Data sent', { unit: 'bytes' }),
    level: store('A level', { aggregate: 'max' }),
  }),
});

const opened = <S extends Schema>(of: S) =>
  closing(Metrics.open(of, { name: freshName() })) as Metrics<S extends Schema<infer T> ? T : never>;

function counted() {
  const metrics = opened(schema);
  metrics.app.vcpu.exits.add(2n ** 53n + 1n);
  metrics.app.vcpu.busy_us.add(1_500_000);
  metrics.app.vcpu.start_ms.store(12_345);
  metrics.app.vcpu.time.observe(41);
  metrics.app.disk.alloc('a"\\\n').read.add(7);
  metrics.app.disk.alloc('ü').level.store(3);
  metrics.app.disk.alloc('gone').read.add(100);
  metrics.app.disk.remove('gone');
  return metrics;
}

describe('given groups and devices', () => {
  test('when they are written as text, then counters are totals, units are base units, and devices are labels', () => {
    expect(exposition(counted())).toBe(String.raw`# HELP vmm_vcpu_exits_total KVM exits, "all"\nof them \\ of all kinds
# TYPE vmm_vcpu_exits_total counter
vmm_vcpu_exits_total 9007199254740993
# HELP vmm_vcpu_busy_seconds_total Time spent in the guest
# TYPE vmm_vcpu_busy_seconds_total counter
vmm_vcpu_busy_seconds_total 1.5
# HELP vmm_vcpu_start_seconds When the vCPU started
# TYPE vmm_vcpu_start_seconds gauge
vmm_vcpu_start_seconds 12.345
# HELP vmm_vcpu_time_seconds Time of an exit
# TYPE vmm_vcpu_time_seconds summary
vmm_vcpu_time_seconds_count 1
vmm_vcpu_time_seconds_sum 0.000041
# HELP vmm_vcpu_time_min_seconds Time of an exit (the shortest; 0 before the first)
# TYPE vmm_vcpu_time_min_seconds gauge
vmm_vcpu_time_min_seconds 0.000041
# HELP vmm_vcpu_time_max_seconds Time of an exit (the longest)
# TYPE vmm_vcpu_time_max_seconds gauge
vmm_vcpu_time_max_seconds 0.000041
# HELP vmm_disk_read_bytes_total Data read
# TYPE vmm_disk_read_bytes_total counter
vmm_disk_read_bytes_total{device="a\"\\\n"} 7
vmm_disk_read_bytes_total{device="ü"} 0
# HELP vmm_disk_sent_bytes_count_total Data sent
# TYPE vmm_disk_sent_bytes_count_total counter
vmm_disk_sent_bytes_count_total{device="a\"\\\n"} 0
vmm_disk_sent_bytes_count_total{device="ü"} 0
# HELP vmm_disk_level A level
# TYPE vmm_disk_level gauge
vmm_disk_level{device="a\"\\\n"} 0
vmm_disk_level{device="ü"} 3
# HELP vmm_disk_all_read_bytes_total Data read
# TYPE vmm_disk_all_read_bytes_total counter
vmm_disk_all_read_bytes_total 107
# HELP vmm_disk_all_sent_bytes_count_total Data sent
# TYPE vmm_disk_all_sent_bytes_count_total counter
vmm_disk_all_sent_bytes_count_total 0
# HELP vmm_disk_all_level A level
# TYPE vmm_disk_all_level gauge
vmm_disk_all_level 3
`);
  });

  test('when they are written as OpenMetrics, then families have no suffix, units are named, and the text ends', () => {
    const text = exposition(counted(), { format: 'openmetrics', labels: { vm: 'vm "0"' }, prefix: '' });
    expect(text.split('\n').slice(0, 7).join('\n')).toBe(String.raw`# TYPE vcpu_exits counter
# HELP vcpu_exits KVM exits, \"all\"\nof them \\ of all kinds
vcpu_exits_total{vm="vm \"0\""} 9007199254740993
# TYPE vcpu_busy_seconds counter
# UNIT vcpu_busy_seconds seconds
# HELP vcpu_busy_seconds Time spent in the guest
vcpu_busy_seconds_total{vm="vm \"0\""} 1.5`);
    expect(text).toContain('\ndisk_level{vm="vm \\"0\\"",device="ü"} 3\n');
    expect(text.endsWith('\ndisk_all_level{vm="vm \\"0\\""} 3\n# EOF\n')).toBe(true);
  });

  test('when the text is wanted as bytes, then the bytes are those of the text', () => {
    const metrics = counted();
    for (const format of FORMATS)
      expect(Buffer.from(expositionBytes(metrics, { format })).toString()).toBe(exposition(metrics, { format }));
    const labels = (_: unknown, index: number) => ({ vm: `vm${index}` });
    expect(Buffer.from(expositionBytes([metrics, metrics], { labels })).toString()).toBe(exposition([metrics, metrics], { labels }));
  });

  test('when a region file is written, then the text is that of the process', async () => {
    const file = join(temporaryFolder(), 'region');
    const metrics = closing(Metrics.open(schema, { name: freshName(), file }));
    metrics.app.vcpu.exits.add(5);
    metrics.app.disk.alloc('a').read.add(1);
    metrics.app.disk.remove('a');
    metrics.app.disk.alloc('b').level.store(1);
    const reading = await readRegion(file);
    for (const format of FORMATS) expect(exposition(reading, { format })).toBe(exposition(metrics, { format }));
  });
});

describe('given values that change', () => {
  test('when they are written again and again, then the text is always that of a second way to write it', () => {
    const random = randomFrom(Number(process.env['VMM_METRICS_SOAK_SEED'] ?? 7));
    const below = (n: number) => Math.floor(random() * n);
    const amount = () =>
      [0n, 1n, BigInt(below(100)), 2n ** BigInt(below(64)), 10n ** BigInt(below(20)) - 1n, BigInt(below(2 ** 31))][below(6)]!;
    const other = defineSchema({
      ...schema.shape,
      block: perDevice({ ops: inc('Requests'), agg: latency('Time') }, { latencyAggregate: 'zero' }),
    });
    const stores = [opened(schema), opened(other), opened(other)] as const;
    const labels = (_: unknown, index: number) => ({ vm: `vm ${'é'.repeat(index)}` });
    let changes = 0;
    for (let turn = 0; turn < 400; turn++) {
      const { app } = stores[below(3)]! as (typeof stores)[1];
      const id = `drv${below(4)}`;
      const disk = () => app.disk.alloc(id);
      const block = () => ('block' in app ? app.block.alloc(id) : undefined);
      [
        () => app.vcpu.exits.add(amount()),
        () => app.vcpu.busy_us.add(amount()),
        () => app.vcpu.start_ms.store(amount()),
        () => app.vcpu.time.observe(amount()),
        () => disk().read.add(amount()),
        () => disk().level.store(amount()),
        () => block()?.ops.inc(),
        () => block()?.agg.observe(amount()),
        () => below(4) === 0 && app.disk.remove(id),
      ][below(9)]!();
      if (below(3) > 0) continue;
      changes++;
      for (const format of FORMATS) {
        const isOpenMetrics = format === 'openmetrics';
        for (const one of stores) expect(exposition(one, { format })).toBe(plain([one], isOpenMetrics));
        // The kept text of one store is not that of the list.
        const sources = stores.map((one, index) => ({ collected: one.collect(), labels: labels(one, index) }));
        if (stores.every((one) => one.app.disk.ids().length > 0) && stores[1].app.block.ids().length > 0) {
          expect(exposition(stores, { format, labels })).toBe(plainExposition(sources, isOpenMetrics, ['block']));
        }
      }
    }
    expect(changes).toBeGreaterThan(50);
  });

  function plain(stores: readonly Pick<Metrics<never>, 'collect'>[], isOpenMetrics: boolean): string {
    return plainExposition(
      stores.map((one) => ({ collected: one.collect(), labels: {} })),
      isOpenMetrics,
      ['block'],
    );
  }

  test('when a value goes up and down by a little or by much, then each digit is exact, and earlier bytes stay as they were', () => {
    const metrics = opened(defineSchema({ g: group({ level: store('A level'), level_ms: store('A time') }) }));
    const kept: { readonly bytes: Uint8Array; readonly text: string }[] = [];
    const show = (value: bigint) => {
      metrics.app.g.level.store(value);
      metrics.app.g.level_ms.store(value);
      const bytes = expositionBytes(metrics);
      const text = Buffer.from(bytes).toString();
      expect(text).toContain(`\nvmm_g_level ${value}\n`);
      expect(text).toContain(`\nvmm_g_level_seconds ${decimal(value, 3n)}\n`);
      kept.push({ bytes, text });
    };
    for (const base of [0n, 995n, 2n ** 32n - 20n, 2n ** 53n - 20n, 10n ** 19n - 20n, 2n ** 64n - 60n]) {
      for (let step = 0n; step < 40n; step++) show(base + step);
      for (const step of [39n, 38n, 30n, 12n, 11n, 9n, 10n, 0n]) show(base + step);
    }
    for (const { bytes, text } of kept) expect(Buffer.from(bytes).toString()).toBe(text);
  });

  test('when a value of 64 bits is written with decimals, then each digit is exact', () => {
    const bytes = new Uint8Array(64);
    const powers = Array.from({ length: 64 }, (_, i) => 2n ** BigInt(i)).concat(Array.from({ length: 20 }, (_, i) => 10n ** BigInt(i)));
    const edges = powers.flatMap((power) => [-2n, -1n, 0n, 1n, 2n].map((step) => BigInt.asUintN(64, power + step)));
    // The division by 10^9 must not round these up to the next integer.
    const close = Array.from({ length: 200 }, (_, i) => (9_007_199n - BigInt(i)) * 1_000_000_000n - 1n);
    for (const value of [0n, 2n ** 64n - 1n, ...edges, ...close]) {
      for (const decimals of [0, 3, 6, 9]) {
        const end = writeDecimal(bytes, 5, Number(value & 0xffff_ffffn), Number(value >> 32n), decimals);
        expect(Buffer.from(bytes.subarray(5, end)).toString()).toBe(decimal(value, BigInt(decimals)));
      }
    }
    expect(edges.length).toBeGreaterThan(400);
  });
});

describe('given several sources', () => {
  const vms = () =>
    ['vm0', 'vm1'].map((vm, i) => {
      const metrics = closing(Metrics.open(schema, { name: freshName() }));
      metrics.app.vcpu.exits.add(i + 1);
      if (i === 1) metrics.app.disk.alloc('root').read.inc();
      return { vm, metrics };
    });

  test('when they are written, then each family begins once, with the samples of all sources', () => {
    const all = vms();
    const text = exposition(
      all.map(({ metrics }) => metrics),
      { labels: (source, index) => ({ vm: all[index]!.vm, same: `${source === all[index]!.metrics}` }) },
    );
    expect(text).toContain(
      '# TYPE vmm_vcpu_exits_total counter\nvmm_vcpu_exits_total{vm="vm0",same="true"} 1\nvmm_vcpu_exits_total{vm="vm1",same="true"} 2\n# HELP',
    );
    expect(text).toContain(
      '# TYPE vmm_disk_read_bytes_total counter\nvmm_disk_read_bytes_total{vm="vm1",same="true",device="root"} 1\n# HELP',
    );
    const types = text.split('\n').filter((line) => line.startsWith('# TYPE'));
    expect(new Set(types).size).toBe(types.length);
  });

  test('when two of them have the same labels, then the error names both', () => {
    const sources = vms().map(({ metrics }) => metrics);
    expect(() => exposition(sources, { labels: { host: 'a' } })).toThrow(
      new RangeError('exposition(): source[0] and source[1] have the same labels, {host="a"}; give each its own'),
    );
  });

  test('when there is no source, then the text is empty', () => {
    expect(exposition([])).toBe('');
    expect(exposition([], { format: 'openmetrics' })).toBe('# EOF\n');
  });

  test('when a name has two types, then the error names both metrics', () => {
    const one = opened(defineSchema({ vcpu: group({ exits: inc('Exits') }) }));
    const two = opened(defineSchema({ vcpu: group({ exits: store('Exits') }) }));
    const labels = (_: unknown, index: number) => ({ vm: `${index}` });
    expect(() => exposition([one, two] as Metrics<never>[], { labels })).toThrow(
      expect.objectContaining({
        code: 'ERR_METRICS_SCHEMA',
        message:
          "Two metrics would be exported as 'vmm_vcpu_exits': the counter 'vmm_vcpu_exits' of vcpu.exits, and the gauge 'vmm_vcpu_exits' of vcpu.exits",
      }),
    );
  });
});

describe('given a schema whose metrics would share a name', () => {
  test.each([
    { why: 'group and name run together', shape: { a: group({ b_c: inc('1') }), a_b: group({ c: inc('2') }) }, paths: ['a.b_c', 'a_b.c'] },
    { why: 'a gauge ends as a counter', shape: { a: group({ b: inc('1'), b_total: store('2') }) }, paths: ['a.b', 'a.b_total'] },
    { why: 'a unit is replaced', shape: { a: group({ b_us: store('1'), b_ms: store('2') }) }, paths: ['a.b_us', 'a.b_ms'] },
    { why: 'a part of a latency', shape: { a: group({ b: latency('1'), b_seconds_sum: store('2') }) }, paths: ['a.b', 'a.b_seconds_sum'] },
    {
      why: 'an aggregate',
      shape: { a: perDevice({ b: inc('1') }), a_all: group({ b: inc('2') }) },
      paths: ['a.b of all devices', 'a_all.b'],
    },
  ])('when $why, then the error names both', ({ shape, paths }) => {
    const metrics = opened(defineSchema(shape as never));
    expect(() => exposition(metrics)).toThrow(expect.objectContaining({ code: 'ERR_METRICS_SCHEMA' }));
    for (const path of paths) expect(() => exposition(metrics)).toThrow(path);
  });
});

describe('given a wrong argument', () => {
  test.each([
    {
      what: 'no source',
      call: () => exposition({} as never),
      error: 'exposition(): source must be a Metrics, or what readRegion() returns; got {}',
    },
    { what: 'a wrong source of a list', call: () => exposition([null] as never), error: 'exposition(): source[0] must be a Metrics' },
    {
      what: 'an unknown option',
      call: () => exposition(counted(), { lables: {} } as never),
      error: "exposition(): unknown option 'lables'",
    },
    {
      what: 'an unknown format',
      call: () => exposition(counted(), { format: 'json' } as never),
      error: "exposition(): format must be 'text'",
    },
    {
      what: 'a wrong prefix',
      call: () => exposition(counted(), { prefix: '0' }),
      error: "exposition(): prefix may have letters, digits and '_'",
    },
    {
      what: 'a wrong label',
      call: () => exposition(counted(), { labels: { 'a-b': 'x' } }),
      error: "exposition(): labels: 'a-b' cannot be a label",
    },
    {
      what: 'the label of devices',
      call: () => exposition(counted(), { labels: { device: 'x' } }),
      error: "the label 'device' is reserved",
    },
    {
      what: 'a label of no text',
      call: () => exposition(counted(), { labels: { a: 1 } } as never),
      error: 'labels.a of source 0 must be a string; got 1',
    },
    { what: 'a lone surrogate', call: () => expositionBytes(counted(), { labels: { a: '\ud800' } }), error: 'expositionBytes(): labels.a' },
    { what: 'an unknown content type', call: () => contentType('json' as never), error: "contentType(): format must be 'text'" },
  ])('when there is $what, then the error names it', ({ call, error }) => {
    expect(call).toThrow(error);
  });

  test('when the store is closed, then the error says so', () => {
    const metrics = Metrics.open(schema, { name: freshName() });
    metrics.close();
    expect(() => exposition(metrics)).toThrow(expect.objectContaining({ code: 'ERR_METRICS_CLOSED' }));
  });
});

describe('given the schema of Firecracker with 35 devices whose ids hold quotes, newlines and non-ASCII', () => {
  const ODD = ['a"b', 'c\\d', 'e\nf', 'ü€𝄞', '{}', 'x,y="z"', ' ', '#'];
  function vm() {
    const metrics = opened(firecracker);
    const { block, net, pmem } = metrics.app;
    for (const id of ODD) block.alloc(id).read_bytes.add(2n ** 64n - 1n);
    for (const id of ODD) net.alloc(id).rx_bytes_count.inc();
    for (let i = 0; i < 19; i++) pmem.alloc(`${ODD[i % ODD.length]}${i}`).event_fails.add(i);
    block.alloc('ü€𝄞').read_agg.observe(41);
    return metrics;
  }

  test.skipIf(withoutPromtool)(`when promtool checks the text, then nothing is wrong with it${because(withoutPromtool)}`, () => {
    const { code, remarks } = promtoolCheck(exposition(vm(), { labels: { vm: 'vm"0"' } }));
    // Two names of Firecracker itself are not to promtool's taste: `latencies_us` and `panic_count`.
    const matters = remarks.filter((remark) => !/^vmm_latencies_us_\S+ metric names should not contain abbreviated units$/.test(remark));
    expect(matters).toEqual(['vmm_vmm_panic_count non-histogram and non-summary metrics should not have "_count" suffix']);
    expect(code).toBe(3);
  });

  test.skipIf(withoutParser)(`when the strict parser reads OpenMetrics, then it finds each value${because(withoutParser)}`, () => {
    const metrics = vm();
    const families = parsedStrictly(exposition(metrics, { format: 'openmetrics' }));
    const samples = families.flatMap((family) => family.samples);
    const bytes = samples.filter(({ name }) => name === 'vmm_block_read_bytes_total');
    expect(bytes.map(({ labels }) => labels['device']).sort()).toEqual([...ODD].sort());
    expect(new Set(bytes.map(({ value }) => value))).toEqual(new Set([`${2n ** 64n - 1n}`]));
    expect(samples.find(({ name, labels }) => name === 'vmm_block_read_agg_max_seconds' && labels['device'] === 'ü€𝄞')?.value).toBe(
      '4.1e-05',
    );
    const values = metrics.collect().flatMap(({ kind, aggregate }) => Array.from({ length: kind !== 'latency' ? 1 : aggregate ? 2 : 4 }));
    expect(samples.length).toBe(values.length);
    expect(families.find(({ name }) => name === 'vmm_block_read_agg_seconds')).toMatchObject({ type: 'summary', unit: 'seconds' });
  });

  function because(missing: string | undefined): string {
    return missing === undefined ? '' : ` (skipped: ${missing})`;
  }
});

test('given a format, when its content type is asked for, then it is the one that Prometheus expects', () => {
  expect(contentType('text')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(contentType('openmetrics')).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
});

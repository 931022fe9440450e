// vmm-metrics/kvm: the fields that descriptors become, and what sampleKvm() makes of them. The descriptors are recorded
// bytes of two kernels, files that play a descriptor, and those of /dev/kvm where there is one.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { defineSchema, type Fields, group, inc, Metrics, perDevice, readRegion, type SchemaShape, unitOf } from 'vmm-metrics';
import { kvmFields } from 'vmm-metrics/kvm';

import { edgesOf, type HistogramUnit, schemeOf } from '../lib/histogram/scheme.ts';
import { runChild } from './helpers/children.ts';
import {
  counter,
  decoded,
  gauge,
  PlayedDescriptor,
  RECORDED,
  recorded,
  type Statistic,
  simple,
  Type,
  typeOf,
} from './helpers/kvm-bytes.ts';
import { HANG_MS } from './helpers/limits.ts';
import { at, closing, freshName, linesIn, sumOf, temporaryFolder } from './helpers/workplace.ts';

const VM = [counter('exits'), gauge('pages')];
const VCPU = [counter('exits'), gauge('blocking'), { name: 'wait_ns', flags: 0x20, exponent: -9, values: [0n] }];

const NO_HISTOGRAM = 'it is a histogram, whose buckets are not those of histogram()';

const playedFields = () => kvmFields({ vm: new PlayedDescriptor(VM).fd, vcpu: new PlayedDescriptor(VCPU).fd })!;
const shape = () => {
  const { vm, vcpu } = playedFields();
  return { g: group({ n: inc('n'), trouble: inc('t', { onError: true }) }), vm: group(vm), cpu: perDevice(vcpu) };
};
const open = (options: object = {}, made: SchemaShape = shape()) =>
  closing(Metrics.open(defineSchema(made), { name: freshName(), ...options })) as unknown as Metrics<ReturnType<typeof shape>>;

/** A process that samples a played descriptor; test/fixtures/kvm.mjs. */
const child = (plan: { how: string; file?: string; lines?: string }) => {
  const played = new PlayedDescriptor(VM);
  return runChild('kvm.mjs', [JSON.stringify({ ...plan, played: played.path, word: played.placeOf('exits') })]);
};

describe.each(RECORDED)('given the recorded descriptors of %s', (kernel) => {
  const statistics = { vm: decoded(recorded(kernel, 'vm')), vcpu: decoded(recorded(kernel, 'vcpu')) };
  const fd = (of: 'vm' | 'vcpu') => openSync(recorded(kernel, of), 'r');

  test('when fields are made, then each counter is an inc metric, each value a store metric, and histograms are listed', () => {
    const fields = kvmFields({ vm: fd('vm'), vcpu: fd('vcpu') })!;
    const leftOut: object[] = [];
    for (const of of ['vm', 'vcpu'] as const) {
      for (const one of statistics[of]) {
        const field = fields[of][one.name];
        if (typeOf(one) > Type.peak) {
          expect(field).toBeUndefined();
          leftOut.push({ of, name: one.name, reason: NO_HISTOGRAM });
          continue;
        }
        expect(field!.kind, one.name).toBe(typeOf(one) === Type.cumulative ? 'inc' : 'store');
        expect(unitOf(one.name, field!), one.name).toBe(one.name.endsWith('_ns') ? 'ns' : 'count');
        expect(field!.doc).toContain(one.name);
      }
    }
    expect(fields.leftOut).toEqual(leftOut);
    expect(leftOut).toHaveLength(3);
    expect(Object.keys(fields.vm).length + Object.keys(fields.vcpu).length).toBe(57);
  });

  test('when they are sampled, then snapshot and line have their bytes', () => {
    const fields = kvmFields({ vm: fd('vm'), vcpu: fd('vcpu') })!;
    const metrics = closing(Metrics.open(defineSchema({ kvm: group(fields.vm), kvm_cpu: perDevice(fields.vcpu) }), { name: freshName() }));
    const file = `${temporaryFolder()}/lines`;
    metrics.init(file);
    metrics.sampleKvm({ vm: fd('vm'), vcpus: { '0': fd('vcpu') } });
    const vcpu = simple(statistics.vcpu);
    expect(vcpu['exits']).toBeGreaterThanOrEqual(1000n);
    expect(metrics.snapshot()).toMatchObject({ kvm: simple(statistics.vm), kvm_cpu: { devices: { 0: vcpu }, aggregate: vcpu } });
    metrics.write();
    expect(linesIn(file)).toEqual([{ kvm: simple(statistics.vm), kvm_cpu_0: vcpu, kvm_cpu: vcpu }]);
  });
});

describe('given units, exponents and types of any kernel', () => {
  test('when fields are made, then times are in ns, us or ms, sizes in bytes, and the values are exact', () => {
    const statistics: Statistic[] = [
      { name: 'slept', flags: 0x20, exponent: 0, values: [3n] },
      { name: 'paused', flags: 0x20, exponent: -5, values: [7n] },
      { name: 'tables', flags: 0x111, exponent: 12, values: [5n] },
      { name: 'deepest', flags: 0x2, exponent: 0, values: [9n] },
      { name: 'spread', flags: 0x3, exponent: 0, values: [1n, 2n] },
      { name: 'future', flags: 0x7, exponent: 0, values: [1n] },
    ];
    const played = new PlayedDescriptor(statistics);
    const fields = kvmFields({ vm: new PlayedDescriptor(VM).fd, vcpu: played.fd })!;
    expect(fields.vcpu).toMatchObject({
      slept: { kind: 'inc', unit: 'ms' },
      paused: { kind: 'inc', unit: 'us' },
      tables: { kind: 'store', unit: 'bytes' },
      deepest: { kind: 'store', unit: 'count', aggregate: 'max' },
    });
    expect(fields.leftOut).toEqual([
      { of: 'vcpu', name: 'spread', reason: NO_HISTOGRAM },
      { of: 'vcpu', name: 'future', reason: 'its type is unknown' },
    ]);
    const metrics = open({}, { cpu: perDevice(fields.vcpu) });
    metrics.sampleKvm({ vcpus: { a: played.fd } });
    expect(metrics.snapshot().cpu.aggregate).toEqual({ slept: 3000n, paused: 70n, tables: 20480n, deepest: 9n });
  });

  test('when two vCPUs have a peak, then the aggregate has the larger one', () => {
    const peak = (value: bigint) => new PlayedDescriptor([{ name: 'deepest', flags: 0x2, exponent: 0, values: [value] }]).fd;
    const fields = kvmFields({ vm: new PlayedDescriptor(VM).fd, vcpu: peak(0n) })!;
    const metrics = open({}, { cpu: perDevice(fields.vcpu) });
    metrics.sampleKvm({ vcpus: { a: peak(4n), b: peak(6n) } });
    expect(metrics.snapshot().cpu.aggregate).toEqual({ deepest: 6n });
  });
});

describe("given the buckets of KVM's histograms, which are left out", () => {
  // Bucket i of a logarithmic histogram has the values of i bits, and bucket i of a linear one those from i * size on.
  const logarithmic = Array.from({ length: 31 }, (_, bits) => 2 ** bits - 1);
  const linear = (size: number) => Array.from({ length: 31 }, (_, i) => (i + 1) * size - 1);
  /** The largest value in each bucket, of all histograms with room for the largest of KVM's edges. */
  const ours = (unit: HistogramUnit) =>
    [0.5, 0.2, 0.1, 0.05, 0.02, 0.01].flatMap((relativeError) => {
      try {
        return [new Set(edgesOf(schemeOf(unit, { relativeError, min: 1, max: 2 ** 31 })))];
      } catch {
        return []; // more buckets than a histogram has room for
      }
    });
  const hasAll = (theirs: readonly number[]) => (edges: ReadonlySet<number>) => theirs.every((edge) => edges.has(edge));

  test.each([
    'ns',
    'bytes',
    'count',
  ] as const)('when they are compared with those of histograms in %s, then no histogram has them', (unit) => {
    const histograms = ours(unit);
    expect(histograms.length).toBeGreaterThan(3);
    expect(histograms.filter(hasAll(logarithmic.slice(1)))).toEqual([]);
    for (const size of [1, 10, 1000, 4096]) expect(histograms.filter(hasAll(linear(size))), `${size}`).toEqual([]);
    // Powers of two belong to the bucket below them here, and to the bucket above them in KVM. For times, not even
    // these are edges.
    const powers = histograms.filter(hasAll(logarithmic.slice(1).map((edge) => edge + 1)));
    expect(powers.length === histograms.length).toBe(unit !== 'ns');
  });
});

describe('given the fields', () => {
  test('when they stand under other keys and names, beside other metrics, then they are sampled all the same', () => {
    const { vm, vcpu } = playedFields();
    const metrics = open({}, { mix: group({ mine: inc('m'), ...(vm as Fields) }), c: perDevice({ leaves: vcpu['exits']! }) });
    const played = new PlayedDescriptor([counter('exits', 4n), gauge('pages', 2n)]);
    metrics.sampleKvm({ vm: played.fd, vcpus: { 0: played.fd } });
    expect(metrics.snapshot()).toMatchObject({ mix: { mine: 0n, exits: 4n, pages: 2n }, c: { aggregate: { leaves: 4n } } });
  });

  test('when a schema puts them in the wrong kind of group, or one in two places, then open() names the place', () => {
    const { vm, vcpu } = playedFields();
    const refused = (made: SchemaShape) => expect(() => open({}, made));
    const code = (message: RegExp) => expect.objectContaining({ code: 'ERR_METRICS_SCHEMA', message: expect.stringMatching(message) });
    refused({ a: perDevice(vm) }).toThrow(code(/^a\.exits: a metric of kvmFields\(\)\.vm must be in a group\(\)/));
    refused({ a: group(vcpu) }).toThrow(code(/^a\.exits: a metric of kvmFields\(\)\.vcpu must be in a perDevice\(\)/));
    refused({ a: group(vm), b: group(vm) }).toThrow(code(/^b\.exits: a\.exits shows the same statistic of KVM, exits/));
    refused({ a: perDevice({ e: vcpu['exits']! }), b: perDevice({ w: vcpu['wait_ns']! }) }).toThrow(code(/^b\.w: .* a\.e is in another/));
  });

  test('when another thread opens the store with metrics of the same names that are not of KVM, then open() says so', () => {
    const name = freshName();
    const { vm } = playedFields();
    closing(Metrics.open(defineSchema({ vm: group({ exits: vm['exits']! }) }), { name }));
    expect(() => Metrics.open(defineSchema({ vm: group({ exits: inc('e') }) }), { name })).toThrow(
      expect.objectContaining({
        code: 'ERR_METRICS_LAYOUT_MISMATCH',
        message: expect.stringContaining('vm.exits of KVM is missing in this call'),
      }),
    );
  });
});

describe('given descriptors that are none of KVM', () => {
  const withHeader = (word: number, value: number) => {
    const played = new PlayedDescriptor(VM);
    writeSync(played.fd, Buffer.from(Uint32Array.of(value).buffer), 0, 4, 4 * word);
    return played.fd;
  };
  test.each([
    ['no descriptor at all', () => 1 << 20, /EBADF/],
    ['an empty file', () => openSync('/dev/null', 'r'), /it is too short for the header/],
    ['a text', () => openSync('/etc/passwd', 'r'), /its names have a length that no kernel uses/],
    ['a count that no kernel has', () => withHeader(2, 0xffff_ffff), /it has no statistics, or more than any kernel has/],
    ['data that ends too early', () => withHeader(5, 1 << 30), /has a statistic beyond the end of its data/],
    ['a name with a quote', () => new PlayedDescriptor([counter('a"b')]).fd, /whose name no metric can have/],
    ['one name twice', () => new PlayedDescriptor([counter('a'), counter('a')]).fd, /two statistics of one name/],
  ])('when %s is given, then the error says what is wrong, and nothing changes', (_what, make, message) => {
    const fd = make();
    const error = expect.objectContaining({ name: 'MetricsError', code: 'ERR_METRICS_ATTACH', message: expect.stringMatching(message) });
    expect(() => kvmFields({ vm: fd, vcpu: new PlayedDescriptor(VCPU).fd })).toThrow(error);
    const metrics = open();
    expect(() => metrics.sampleKvm({ vm: new PlayedDescriptor(VM).fd, vcpus: { 0: fd } })).toThrow(error);
    expect(() => metrics.sampleKvm({ vm: new PlayedDescriptor(VM).fd, vcpus: { 0: fd } })).toThrow(/the vCPU '0' of KVM at descriptor/);
    expect(metrics.app.cpu.ids()).toEqual([]);
  });

  test('when arguments are wrong, then the error names them', () => {
    const metrics = open();
    const wrong = (given: unknown) => expect(() => metrics.sampleKvm(given as never));
    wrong({ vms: 1 }).toThrow(new TypeError("sampleKvm(): unknown option 'vms'; the options are 'vm', 'vcpus'"));
    wrong({ vm: 'x' }).toThrow(TypeError);
    wrong({ vm: -1 }).toThrow(RangeError);
    wrong({ vcpus: [1] }).toThrow(TypeError);
    wrong({ vcpus: { '': 1 } }).toThrow(/device id must not be empty/);
    expect(() => kvmFields({ vm: 1.5 })).toThrow(RangeError);
    expect(() => kvmFields({ vn: 1 } as never)).toThrow(/unknown option 'vn'/);
    metrics.close();
    wrong({}).toThrow(expect.objectContaining({ code: 'ERR_METRICS_CLOSED' }));
  });

  test('when the schema has no such metrics, or the descriptor has none of them, then the error says so', () => {
    const plain = open({}, { g: group({ n: inc('n') }) });
    expect(() => plain.sampleKvm({ vm: new PlayedDescriptor(VM).fd })).toThrow(
      expect.objectContaining({ code: 'ERR_METRICS_SCHEMA', message: expect.stringContaining('no metric of kvmFields().vm') }),
    );
    const other = new PlayedDescriptor([counter('other')]);
    expect(() => open().sampleKvm({ vm: other.fd })).toThrow(/it has none of the statistics that the schema has metrics for/);
    const kind = new PlayedDescriptor([gauge('exits')]);
    expect(() => open().sampleKvm({ vm: kind.fd })).toThrow(/it has a statistic of another kind than the metric of its name/);
  });
});

describe('given a descriptor that is sampled', () => {
  test('when lines are written, then their deltas add up to the value, and a removed vCPU was sampled once more', () => {
    const metrics = open();
    const [vm, zero, one] = [new PlayedDescriptor(VM), new PlayedDescriptor(VCPU), new PlayedDescriptor(VCPU)];
    const file = `${temporaryFolder()}/lines`;
    metrics.init(file);
    metrics.sampleKvm({ vm: vm.fd, vcpus: { '0': zero.fd, '1': one.fd } });
    for (let i = 1n; i <= 5n; i++) {
      vm.set('exits', 1000n * i);
      zero.set('exits', 10n * i);
      one.set('exits', 7n * i);
      one.set('blocking', i % 2n);
      metrics.write();
    }
    one.set('exits', 100n);
    expect(metrics.app.cpu.remove('1')).toBe(true);
    one.set('exits', 200n);
    metrics.write();
    const lines = linesIn(file);
    expect([sumOf(lines, 'vm.exits'), sumOf(lines, 'cpu_0.exits'), sumOf(lines, 'cpu.exits')]).toEqual([5000n, 50n, 150n]);
    expect(at(lines[0]!, 'cpu_1.blocking')).toBe(1n);
    expect(metrics.snapshot().cpu).toMatchObject({ aggregate: { exits: 150n }, devices: { '0': { exits: 50n } } });
  });

  test('when the host closes it and its number is used again, then the sampling goes on; with null it ends', () => {
    const metrics = open();
    const played = new PlayedDescriptor(VM);
    const writer = openSync(played.path, 'r+');
    metrics.sampleKvm({ vm: played.fd });
    closeSync(played.fd);
    expect(openSync('/dev/null', 'r')).toBe(played.fd);
    const set = (value: bigint) => writeSync(writer, Buffer.from(BigUint64Array.of(value).buffer), 0, 8, played.placeOf('exits'));
    set(9n);
    expect(metrics.snapshot().vm['exits']).toBe(9n);
    set(11n);
    metrics.sampleKvm({ vm: null, vcpus: { none: null } });
    set(12n);
    expect(metrics.snapshot().vm['exits']).toBe(11n);
    expect(metrics.app.cpu.ids()).toEqual([]);
  });

  test('when it vanishes, then its last values stay, one warning appears, and the metric for errors goes up by one', async () => {
    const metrics = open();
    const played = new PlayedDescriptor(VCPU);
    const warnings: string[] = [];
    const listen = ({ message, code }: Error & { code?: string }) => code === 'METRICS_KVM_LOST' && warnings.push(message);
    process.on('warning', listen);
    const messages: unknown[] = [];
    const hear = (message: unknown) => messages.push(message);
    subscribe('vmm-metrics:kvm', hear);
    metrics.sampleKvm({ vcpus: { '3': played.fd } });
    played.set('exits', 8n);
    metrics.snapshot();
    ftruncateSync(played.fd, 0);
    for (let i = 0; i < 3; i++) expect(metrics.snapshot().cpu.devices['3']!['exits']).toBe(8n);
    await vi.waitUntil(() => warnings.length > 0, HANG_MS);
    expect(warnings).toEqual([expect.stringMatching(/cannot read KVM's statistics of the vCPU '3' any more.*ENODATA/)]);
    metrics.snapshot();
    await sleep(0);
    expect(metrics.snapshot().g.trouble).toBe(1n);
    expect(warnings).toHaveLength(1);
    expect(messages).toEqual([{ name: metrics.name, vcpu: '3', error: expect.objectContaining({ code: 'ENODATA', syscall: 'pread' }) }]);
    process.off('warning', listen);
    unsubscribe('vmm-metrics:kvm', hear);
  });

  test('when a flush thread finds out that the VM has vanished, then the thread that opened the store gets the message', async () => {
    const metrics = open();
    const played = new PlayedDescriptor(VM);
    const messages: unknown[] = [];
    const hear = (message: unknown) => messages.push(message);
    subscribe('vmm-metrics:kvm', hear);
    metrics.init(`${temporaryFolder()}/lines`);
    metrics.sampleKvm({ vm: played.fd });
    ftruncateSync(played.fd, 0);
    metrics.startPeriodicFlush({ intervalMs: 1 });
    await vi.waitUntil(() => messages.length > 0, HANG_MS);
    unsubscribe('vmm-metrics:kvm', hear);
    expect(messages).toStrictEqual([{ name: metrics.name, vcpu: undefined, error: expect.objectContaining({ code: 'ENODATA' }) }]);
  });

  test('when the thread that gave it ends, then the other threads of the store still sample it', async () => {
    const file = `${temporaryFolder()}/region`;
    const { code, stdout, stderr } = await child({ how: 'worker', file });
    expect({ code, stderr, stdout }).toEqual({ code: 0, stderr: '', stdout: '5 6\n' });
    expect((await readRegion(file)).values).toMatchObject({ vm: { exits: 7n } });
  });

  test('when it counts while a profile runs, then the rows have its values', async () => {
    const metrics = open();
    const played = new PlayedDescriptor(VCPU);
    metrics.sampleKvm({ vcpus: { '0': played.fd } });
    const output = `${temporaryFolder()}/p.tsv`;
    const profile = metrics.startProfiling({ metrics: ['g.n', 'cpu_0.exits'], intervalUs: 500, output });
    const column = () =>
      readFileSync(output, 'utf8')
        .split('\n')
        .slice(1, -1)
        .map((row) => Number(row.split('\t')[2]));
    for (let i = 1; i <= 5; i++) {
      played.set('exits', BigInt(i));
      await vi.waitUntil(() => column().at(-1) === i, HANG_MS);
    }
    await profile.stop();
    expect(new Set(column())).toEqual(new Set([...column()].sort()));
    expect([...new Set(column())].filter((value) => value > 0)).toEqual([1, 2, 3, 4, 5]);
  });
});

describe('given a process that dies by SIGSEGV', () => {
  test('when KVM has counted since its last line, then its last line has the count', async () => {
    const lines = `${temporaryFolder()}/lines`;
    const { signal } = await child({ how: 'crash', lines });
    expect(signal).toBe('SIGSEGV');
    expect(linesIn(lines).map((line) => at(line, 'vm.exits'))).toEqual([5n, 95n]);
  });

  test('when it has a region file and no sink, then the region has the count', async () => {
    const file = `${temporaryFolder()}/region`;
    const { signal } = await child({ how: 'crash', file });
    expect(signal).toBe('SIGSEGV');
    const { state, values } = await readRegion(file);
    expect({ state, values }).toMatchObject({ state: 'crashed', values: { vm: { exits: 100n } } });
  });
});

import type { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import * as successor from '@prometheus-io/client';
import * as promClient from 'prom-client';
import { describe, expectTypeOf, test } from 'vitest';
import {
  type Devices,
  type DeviceValues,
  defineSchema,
  type Fields,
  type FieldValues,
  group,
  type HistogramValue,
  type IncMetric,
  inc,
  type LatencyDef,
  type LatencyHistogramDef,
  type LatencyMetric,
  type LatencyRecord,
  type LatencyValue,
  latency,
  Metrics,
  type Profile,
  type ProfileName,
  perDevice,
  type Schema,
  type SchemaShape,
  type StoreMetric,
  store,
  utcTimestampMs,
} from 'vmm-metrics';
import { firecracker, firecrackerAarch64, firecrackerSchema } from 'vmm-metrics/firecracker';
import { type KvmFields, kvmFields } from 'vmm-metrics/kvm';
import { metricProducer } from 'vmm-metrics/opentelemetry';
import { collectors, exposition, expositionBytes } from 'vmm-metrics/prometheus';

const schema = defineSchema({
  utc_timestamp_ms: utcTimestampMs(),
  vcpu: group({ exit_io_in: inc('in'), exit_io_in_agg: latency('in') }),
  signals: group({ sigsegv: store('SIGSEGV', { onSignal: 'SIGSEGV' }) }),
  pmem: perDevice({ activate_fails: inc('fails'), speed: store('speed') }),
});

describe('given a schema', () => {
  const metrics = Metrics.open(schema);
  const snapshot = metrics.snapshot();

  test('when metrics are opened, then the accessors have its names and kinds', () => {
    expectTypeOf(metrics.app.vcpu.exit_io_in).toEqualTypeOf<IncMetric>();
    expectTypeOf(metrics.app.vcpu.exit_io_in_agg).toEqualTypeOf<LatencyMetric>();
    expectTypeOf(metrics.app.signals.sigsegv).toEqualTypeOf<StoreMetric>();
    expectTypeOf(metrics.app.pmem).toExtend<Devices<{ activate_fails: ReturnType<typeof inc>; speed: ReturnType<typeof store> }>>();
    expectTypeOf(metrics.app.pmem.alloc('drv0').activate_fails).toEqualTypeOf<IncMetric>();
    expectTypeOf(metrics.app).not.toHaveProperty('utc_timestamp_ms');
  });

  test('when it is used wrongly, then that is a compile error', () => {
    // @ts-expect-error an unknown metric
    void (() => metrics.app.vcpu.exit_io_inn);
    // @ts-expect-error an unknown group
    void (() => metrics.app.vcpus);
    // @ts-expect-error a store metric is set, never added to
    void (() => metrics.app.signals.sigsegv.add(1));
    // @ts-expect-error an inc metric is never set
    void (() => metrics.app.vcpu.exit_io_in.store(1));
    // @ts-expect-error no text
    void (() => metrics.app.vcpu.exit_io_in.add('3'));
    // @ts-expect-error devices are allocated
    void (() => metrics.app.pmem.activate_fails);
    // @ts-expect-error a latency metric is observed
    void (() => metrics.app.vcpu.exit_io_in_agg.inc());
    // @ts-expect-error accessors are read-only, and there is no such metric
    void (() => (metrics.app.vcpu.exit_io_in = metrics.app.vcpu.exit_io_inn));
    // @ts-expect-error an unknown option
    void (() => Metrics.open(schema, { nam: 'vm0' }));
    // @ts-expect-error SIGKILL cannot be captured
    void (() => store('', { onSignal: 'SIGKILL' }));
    // @ts-expect-error a misspelt marker, beside an option that is known
    void (() => inc('', { unit: 'bytes', onPanik: true }));
    // @ts-expect-error a misspelt option, beside a marker that is known
    void (() => store('', { onPanic: true, aggregat: 'max' }));
    // @ts-expect-error no such unit
    void (() => inc('', { unit: 'kilobytes' }));
    // @ts-expect-error a metric must be in a group
    void (() => defineSchema({ alone: inc('alone') }));
  });

  test('when a profile is started, then its columns have known names, and any other text is accepted', () => {
    expectTypeOf<ProfileName<typeof schema.shape>>().toEqualTypeOf<
      | 'vcpu.exit_io_in'
      | `vcpu.exit_io_in_agg.${'count' | 'min_us' | 'max_us' | 'sum_us'}`
      | 'signals.sigsegv'
      | `pmem_${string}.${'activate_fails' | 'speed'}`
    >();
    const names: string[] = [];
    void (() => metrics.startProfiling({ metrics: names, output: 1 }));
    void (() => metrics.startProfiling({ metrics: 'vcpu.exit_io_in,signals.sigsegv', output: 1 }));
    // @ts-expect-error no name
    void (() => metrics.startProfiling({ metrics: [3], output: 1 }));
    // @ts-expect-error no output
    void (() => metrics.startProfiling({ metrics: names }));
  });

  test('when a snapshot is taken, then it has bigints under the same names', () => {
    expectTypeOf(snapshot.vcpu.exit_io_in).toEqualTypeOf<bigint>();
    expectTypeOf(snapshot.vcpu.exit_io_in_agg).toEqualTypeOf<LatencyValue>();
    expectTypeOf(snapshot.pmem.aggregate.activate_fails).toEqualTypeOf<bigint>();
    expectTypeOf(snapshot.pmem.devices['drv0']!.speed).toEqualTypeOf<bigint>();
    // @ts-expect-error an unknown metric
    void (() => snapshot.vcpu.exit_io_out);
  });
});

test("given Firecracker's schema, when it is used, then its metrics are typed, and only aarch64 has rtc", () => {
  const metrics = Metrics.open(firecracker);
  expectTypeOf(metrics.app.block.alloc('rootfs').read_agg).toEqualTypeOf<LatencyMetric>();
  expectTypeOf(Metrics.open(firecrackerAarch64).app.rtc.error_count).toEqualTypeOf<IncMetric>();
  // @ts-expect-error only on aarch64
  void (() => metrics.app.rtc);
});

test("given a version of Firecracker's line, when it is used, then only v1.16.1 has its new metrics, and only aarch64 has rtc", () => {
  expectTypeOf(firecrackerSchema()).toEqualTypeOf<typeof firecracker>();
  expectTypeOf(firecrackerSchema({ arch: 'arm64' })).toEqualTypeOf<typeof firecrackerAarch64>();
  const { app } = Metrics.open(firecrackerSchema({ version: '1.16', arch: 'aarch64' }));
  expectTypeOf(app.patch_api_requests.pmem_fails).toEqualTypeOf<IncMetric>();
  expectTypeOf(app.pmem.alloc('drv0').rate_limiter_event_count).toEqualTypeOf<IncMetric>();
  expectTypeOf(app.pmem.alloc('drv0').activate_fails).toEqualTypeOf<IncMetric>();
  expectTypeOf(app.rtc.error_count).toEqualTypeOf<IncMetric>();
  // @ts-expect-error only on aarch64
  void (() => Metrics.open(firecrackerSchema({ version: '1.16' })).app.rtc);
  // @ts-expect-error only in v1.16.1
  void (() => Metrics.open(firecrackerSchema()).app.patch_api_requests.pmem_fails);
  expectTypeOf(firecrackerSchema({ histograms: 'groups' }).shape.vcpu.fields.exit_io_in_agg).toEqualTypeOf<LatencyHistogramDef>();
  expectTypeOf(firecrackerSchema({ histograms: 'groups' }).shape.block.fields.read_agg).toEqualTypeOf<LatencyDef>();
  expectTypeOf(firecrackerSchema({ histograms: 'all' }).shape.block.fields.read_agg).toEqualTypeOf<LatencyHistogramDef>();
  // @ts-expect-error there is no such version
  void (() => firecrackerSchema({ version: '1.14' }));
});

describe('given a schema that is known only at run time', () => {
  const metrics = Metrics.open(schema as Schema);

  test('when metrics are used, then any name is accepted, and values have the types that all schemas share', () => {
    void (() => metrics.app['vcpu']!['exit_io_in'].inc());
    void (() => metrics.app['pmem']!['alloc']('drv0').activate_fails.inc());
    expectTypeOf(metrics.snapshot()['vcpu']).toEqualTypeOf<FieldValues<Fields> | DeviceValues<Fields> | undefined>();
    const values = metrics.snapshot()['vcpu'] as FieldValues<Fields>;
    expectTypeOf(values['exit_io_in']).toEqualTypeOf<bigint | LatencyValue | HistogramValue | undefined>();
  });

  test('when metrics of a known schema are passed, then they are metrics of any schema', () => {
    const any: Metrics<SchemaShape>[] = [Metrics.open(schema), Metrics.open(firecracker)];
    void any;
  });
});

test('given options that may be undefined, when they are passed, then they are accepted', () => {
  void (() => Metrics.open(schema, { file: process.env['REGION'], id: process.env['ID'], name: undefined, properties: undefined }));
  void (() => inc('', { unit: undefined, onPanic: undefined }));
  void (() => perDevice({ n: inc('') }, { aggregate: undefined }));
  const metrics = Metrics.open(schema);
  void (() => metrics.startPeriodicFlush({ intervalMs: undefined }));
  void (() => metrics.captureSignals({ signals: undefined, limitMs: undefined }));
  void (() => metrics.reportStartTime({ startTimeUs: undefined }));
});

test('given disposable objects, when `using` declares them, then they are accepted', () => {
  const metrics: Disposable = Metrics.open(schema);
  const record: Disposable = Metrics.open(schema).app.vcpu.exit_io_in_agg.record();
  expectTypeOf([metrics, record]).toEqualTypeOf<Disposable[]>();
  expectTypeOf<Profile>().toExtend<AsyncDisposable>();
});

test('given a latency record, when it ends or laps, then nothing is returned', () => {
  const record: LatencyRecord = Metrics.open(schema).app.vcpu.exit_io_in_agg.record();
  expectTypeOf(record.end).toEqualTypeOf<() => void>();
  expectTypeOf(record.lap).toEqualTypeOf<() => void>();
});

describe('given the exports of a store', () => {
  const metrics = Metrics.open(schema);

  test('when collectors are registered, then both clients take them without a cast', () => {
    void (() => {
      for (const collector of collectors(metrics)) {
        new promClient.Registry().registerMetric(collector);
        new successor.Registry().registerMetric(collector);
      }
    });
  });

  test('when a producer is given to a reader, then the SDK takes it without a cast', () => {
    type Options = NonNullable<ConstructorParameters<typeof MetricReader>[0]>;
    expectTypeOf(metricProducer(metrics)).toExtend<NonNullable<Options['metricProducers']>[number]>();
    expectTypeOf<MeterProvider>().not.toBeAny();
  });

  test('when a list is exported, then the function of labels gets a source of the list', () => {
    void (() => exposition([metrics], { labels: (source, index) => ({ vm: source.name, number: `${index}` }) }));
    expectTypeOf(exposition(metrics)).toEqualTypeOf<string>();
    expectTypeOf(exposition(metrics, { format: 'protobuf' })).toExtend<Uint8Array>();
    expectTypeOf(expositionBytes(metrics)).toExtend<Uint8Array>();
    // @ts-expect-error a format that does not exist
    void (() => exposition(metrics, { format: 'json' }));
  });
});

describe('given the fields of KVM', () => {
  test('when a schema has them, then the snapshot has bigints, and sampleKvm() takes descriptors by id, or null', () => {
    void (() => {
      const kvm = kvmFields();
      expectTypeOf(kvm).toExtend<KvmFields | undefined>();
      const metrics = Metrics.open(defineSchema({ vm: group(kvm!.vm), vcpu: perDevice(kvm!.vcpu) }));
      expectTypeOf(metrics.snapshot().vcpu.devices['0']!['exits']).toEqualTypeOf<bigint | undefined>();
      metrics.sampleKvm({ vm: 3, vcpus: { 0: 4, one: null } });
      // Where there may be no KVM, its groups are optional.
      const perhaps = Metrics.open(defineSchema({ g: group({ n: inc('n') }), ...(kvm && { vcpu: perDevice(kvm.vcpu) }) }));
      expectTypeOf(perhaps.snapshot().vcpu?.devices['0']?.['exits']).toEqualTypeOf<bigint | undefined>();
      expectTypeOf(perhaps.app.vcpu?.remove('0')).toEqualTypeOf<boolean | undefined>();
      perhaps.startProfiling({ metrics: ['g.n', 'vcpu_0.exits'], output: 'p.tsv' });
      // @ts-expect-error a group that may be missing
      perhaps.snapshot().vcpu.devices;
      // @ts-expect-error a misspelt option
      metrics.sampleKvm({ vcpu: { 0: 4 } });
      // @ts-expect-error a descriptor that is no number
      metrics.sampleKvm({ vm: 'fd' });
    });
  });
});

// metricProducer(): the metrics of a store for a MetricReader of OpenTelemetry's SDK. Only types come from the SDK, so
// this file works with any version of the SDK that understands its objects.

import type { HrTime, ValueType } from '@opentelemetry/api';
import type { AggregationTemporality, DataPoint, DataPointType, MetricData, MetricProducer } from '@opentelemetry/sdk-metrics';

import { checkedOptions, checkedText, shown } from '../arguments.ts';
import { baseUnitOf, nameWithoutUnit } from '../base-unit.ts';
import type { CollectedMetric } from '../collect.ts';
import type { HistogramValue } from '../histogram/value.ts';
import type { LatencyValue } from '../values.ts';
import { VERSION } from '../version.ts';

/** The options of `metricProducer()`. */
export interface ProducerOptions {
  /** What the names of all metrics begin with, before a dot; may be empty. Default: `'vmm'`. */
  readonly prefix?: string | undefined;
}

/** A `Metrics`. */
export interface ProducerSource {
  /** All metrics with their values. */
  collect(): readonly CollectedMetric[];
}

// The SDK's own enumerations, which are not imported.
const INT: ValueType.INT = 0;
const DOUBLE: ValueType.DOUBLE = 1;
const CUMULATIVE: AggregationTemporality.CUMULATIVE = 1;
const HISTOGRAM: DataPointType.HISTOGRAM = 0;
const EXPONENTIAL: DataPointType.EXPONENTIAL_HISTOGRAM = 1;
const GAUGE: DataPointType.GAUGE = 2;
const SUM: DataPointType.SUM = 3;

/**
 * A producer that a MetricReader of `@opentelemetry/sdk-metrics` 2 or 3 collects from, beside the instruments of the
 * SDK.
 *
 * ```ts
 * new PeriodicExportingMetricReader({ exporter, metricProducers: [metricProducer(metrics)] });
 * ```
 *
 * A metric is called `vmm.<group>.<metric>`, and that of all devices together `vmm.<group>.all.<metric>`. Devices have
 * the attribute `device`. Counters are monotonic cumulative sums since the start of the process. A latency is a
 * histogram without boundaries: its count, sum, minimum and maximum. A histogram, and a latency with one, is an
 * exponential histogram with the same buckets. Microseconds and milliseconds become seconds, and
 * the end of a name that says so, such as `_us`, is left out.
 *
 * The SDK keeps numbers: values are exact up to 2^53, and rounded above. Thread-safety as for `metrics.collect()`.
 * @throws TypeError for a wrong argument. After `close()`, `collect()` gives no metrics, and the error
 * `ERR_METRICS_CLOSED` in its list of errors.
 */
export function metricProducer(metrics: ProducerSource, options?: ProducerOptions): MetricProducer {
  if (typeof metrics !== 'object' || metrics === null || typeof metrics.collect !== 'function') {
    throw new TypeError(`metricProducer(): metrics must be a Metrics; got ${shown(metrics)}`);
  }
  const { prefix = 'vmm' } = checkedOptions<ProducerOptions>('metricProducer()', options, ['prefix']);
  const begin = checkedText('metricProducer(): prefix', prefix) === '' ? '' : `${prefix}.`;
  const startTime = hrTimeOf(Date.now() - 1000 * process.uptime());
  return {
    async collect() {
      const endTime = hrTimeOf(Date.now());
      const errors: unknown[] = [];
      let data: MetricData[] = [];
      try {
        data = metricDataOf(metrics.collect(), begin, startTime, endTime);
      } catch (error) {
        errors.push(error);
      }
      const scopeMetrics = data.length === 0 ? [] : [{ scope: { name: 'vmm-metrics', version: VERSION }, metrics: data }];
      return { resourceMetrics: { resource: NO_RESOURCE, scopeMetrics }, errors };
    },
  };
}

/** A reader uses the resource of its own provider. */
const NO_RESOURCE = {
  attributes: {},
  getRawAttributes: () => [],
  merge: (other: unknown) => other ?? NO_RESOURCE,
} as never;

function metricDataOf(collected: readonly CollectedMetric[], begin: string, startTime: HrTime, endTime: HrTime): MetricData[] {
  const byName = new Map<string, MetricData>();
  for (const metric of collected) {
    const { group, device, aggregate, name, unit } = metric;
    const fullName = `${begin}${group}.${aggregate ? 'all.' : ''}${unit === 'bytes' ? name : nameWithoutUnit(name, unit)}`;
    let data = byName.get(fullName);
    if (data === undefined) byName.set(fullName, (data = emptyData(fullName, metric)));
    const point = { startTime, endTime, attributes: device === undefined ? {} : { device } };
    (data.dataPoints as DataPoint<unknown>[]).push({ ...point, value: pointValueOf(metric) });
  }
  return [...byName.values()];
}

const UNITS = { '': '', bytes: 'By', seconds: 's' } as const;

function emptyData(name: string, { kind, unit, doc, value }: CollectedMetric): MetricData {
  const base = baseUnitOf(unit);
  const descriptor = { name, description: doc, unit: UNITS[base.name], valueType: base.decimals === 0 ? INT : DOUBLE };
  const common = { descriptor, aggregationTemporality: CUMULATIVE };
  switch (kind) {
    case 'inc':
      return { ...common, dataPointType: SUM, isMonotonic: true, dataPoints: [] };
    case 'store':
      return { ...common, dataPointType: GAUGE, dataPoints: [] };
    case 'latency':
    case 'histogram':
      return { ...common, dataPointType: histogramIn(value) === undefined ? HISTOGRAM : EXPONENTIAL, dataPoints: [] };
  }
}

function histogramIn(value: CollectedMetric['value']): HistogramValue | undefined {
  if (typeof value === 'bigint') return undefined;
  return 'bucketCounts' in value ? value : value.histogram;
}

function pointValueOf({ kind, unit, value }: CollectedMetric): unknown {
  const inBaseUnit = (one: bigint) => Number(one) / 10 ** baseUnitOf(unit).decimals;
  if (kind === 'inc' || kind === 'store') return inBaseUnit(value as bigint);
  const histogram = histogramIn(value);
  if (histogram !== undefined) {
    const { count, sum, min, max, scale, zeroCount, zeroThreshold, offset, bucketCounts } = histogram;
    return {
      count: Number(count),
      sum: inBaseUnit(sum),
      ...(count > 0n && { min: inBaseUnit(min), max: inBaseUnit(max) }),
      scale,
      zeroCount: Number(zeroCount),
      zeroThreshold,
      positive: { offset, bucketCounts: bucketCounts.map(Number) },
      negative: { offset: 0, bucketCounts: [] },
    };
  }
  const { count, sum_us, min_us, max_us } = value as LatencyValue;
  const buckets = { boundaries: [], counts: [Number(count)] };
  // Firecracker's aggregates have no extremes.
  const extremes = count === 0n || (max_us === 0n && sum_us > 0n) ? {} : { min: inBaseUnit(min_us), max: inBaseUnit(max_us) };
  return { buckets, count: Number(count), sum: inBaseUnit(sum_us), ...extremes };
}

function hrTimeOf(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - 1000 * seconds) * 1e6)];
}

/**
 * `vmm-metrics`: schemas, stores, their metrics, and the reader of region files. The other entries of the package are
 * modules of their own.
 * @module vmm-metrics
 */

export type { AccessorOf } from './accessors/accessors.ts';
export type { HistogramMetric, LatencyHistogramMetric } from './accessors/histogram.ts';
export type { IncMetric } from './accessors/inc.ts';
export type { LatencyMetric } from './accessors/latency.ts';
export type { LatencyRecord } from './accessors/record.ts';
export type { StoreMetric } from './accessors/store.ts';
export type { Accessors, RunTimeGroup } from './app.ts';
export type { CapturableSignal } from './arguments.ts';
export type { CollectedMetric } from './collect.ts';
export type { DeviceMetrics, Devices } from './devices.ts';
export type { DegradedMessage, DisplacedMessage, LostKvmMessage, MissedMessage } from './diagnostics.ts';
export { ErrorCode, MetricsError } from './errors.ts';
export type { HistogramUnit } from './histogram/scheme.ts';
export { type HistogramBucket, HistogramValue } from './histogram/value.ts';
export { jsonText } from './json.ts';
export type { KvmDescriptors } from './kvm/sampling.ts';
export type { EventMarkers } from './markers.ts';
export { Metrics, type PeriodicFlushOptions } from './metrics.ts';
export type { OpenOptions } from './open-options.ts';
export type { ProfileName } from './profile/columns.ts';
export type { Profile, ProfileOptions, ProfileStats } from './profiler.ts';
export { type CrashReport, type RegionReading, type RegionState, type RegionValues, readRegion, type Settlement } from './region/reader.ts';
export {
  defineSchema,
  type Fields,
  type GroupDef,
  group,
  type HistogramDef,
  type HistogramOptions,
  histogram,
  type IncDef,
  type IncOptions,
  inc,
  type LatencyDef,
  type LatencyHistogram,
  type LatencyHistogramDef,
  type LatencyOptions,
  latency,
  type MetricDef,
  type PerDeviceDef,
  type PerDeviceOptions,
  perDevice,
  type Schema,
  type SchemaShape,
  type StoreAggregate,
  type StoreDef,
  type StoreOptions,
  store,
  type TimestampDef,
  type Unit,
  unitOf,
  utcTimestampMs,
} from './schema.ts';
export type { CaptureSignalsOptions } from './signals.ts';
export type { StartTimes } from './start-time.ts';
export type { DeviceValues, FieldValues, LatencyHistogramValue, LatencyValue, MetricsSnapshot, ValueOf } from './values.ts';

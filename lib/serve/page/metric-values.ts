// One virtual machine's metrics as the agent sends them, and what the panel says of each. Pure.

import { digits, quantity, unitName } from './words.ts';

export interface Distribution {
  readonly count: number | bigint;
  readonly sum: number | bigint;
  readonly min: number | bigint;
  readonly max: number | bigint;
  readonly bucketCounts: readonly (number | bigint)[];
}

interface Latency {
  readonly count: number | bigint;
  readonly min_us: number | bigint;
  readonly max_us: number | bigint;
  readonly sum_us: number | bigint;
  readonly histogram?: Distribution;
}

export interface Metric {
  readonly group: string;
  readonly device?: string;
  readonly aggregate?: true;
  readonly name: string;
  readonly path: string;
  readonly kind: string;
  readonly unit: string;
  readonly doc: string;
  readonly value: number | bigint | Latency | Distribution;
  /** Of a distribution with values: what half, 90 % and 99 % of the values are at most, in `unit`. */
  readonly quantiles?: readonly [number, number, number];
}

export interface VmData {
  readonly atMs: number;
  readonly name: string;
  readonly file: string;
  readonly startedAtMs?: number;
  readonly pid?: number;
  readonly sinkPath?: string;
  /** By path, how far each counter has risen since the last line. */
  readonly pending: Readonly<Record<string, number | bigint>> | null;
  readonly metrics: readonly Metric[] | null;
}

/** What rises over time in a metric: the counter itself, or how many values were observed. Undefined for a gauge. */
export function counterOf({ kind, value }: Metric): number | bigint | undefined {
  if (typeof value === 'object') return value.count;
  return kind === 'inc' ? value : undefined;
}

export function isZero({ value }: Metric): boolean {
  return BigInt(typeof value === 'object' ? value.count : value) === 0n;
}

/** The value as text: a number; or the median, or else the mean, and the largest value. */
export function valueText({ value, unit, quantiles }: Metric): string {
  if (typeof value !== 'object') return digits(value);
  if (BigInt(value.count) === 0n) return '0';
  const isLatency = 'sum_us' in value;
  const [sum, max] = isLatency ? [value.sum_us, value.max_us] : [value.sum, value.max];
  const ownUnit = isLatency ? 'us' : unit;
  const suffix = unitName(ownUnit) && ` ${unitName(ownUnit)}`;
  const mean = Number(sum) / Number(value.count);
  const middle = quantiles === undefined ? `mean ${quantity(mean, ownUnit)}` : `median ${quantity(quantiles[0], ownUnit)}`;
  // Firecracker's aggregates have 0 for a maximum that nobody knows.
  return `${middle}${Number(max) < Math.floor(mean) ? '' : `, max ${digits(max)}${suffix}`}`;
}

/** What the quantiles of a distribution are; empty if they are not known. */
export function quantilesText({ quantiles, unit }: Metric): string {
  if (quantiles === undefined) return '';
  return ['median', '90 %', '99 %'].map((name, i) => `${name} ${quantity(quantiles[i]!, unit)}`).join(' · ');
}

export function distributionOf({ value }: Metric): Distribution | undefined {
  if (typeof value !== 'object') return undefined;
  return 'bucketCounts' in value ? value : value.histogram;
}

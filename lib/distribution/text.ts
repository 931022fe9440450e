// What a histogram has counted, in words and numbers for people. Pure.

import type { HistogramValue } from '../histogram/value.ts';
import { digits } from '../text.ts';

export const QUANTILES = [
  ['p50', 0.5],
  ['p90', 0.9],
  ['p99', 0.99],
  ['p99.9', 0.999],
] as const;

const IN_SECOND: Readonly<Record<string, number>> = { ns: 1e9, us: 1e6, ms: 1e3, seconds: 1 };
const TIMES = [
  ['s', 1],
  ['ms', 1e-3],
  ['us', 1e-6],
  ['ns', 1e-9],
] as const;

const SIZES = [
  ['TiB', 2 ** 40],
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
  ['bytes', 1],
] as const;

/** A value with three digits and its unit; a time or a size has the unit that fits. */
export function valueText(value: number, unit: string): string {
  const inSecond = IN_SECOND[unit];
  if (inSecond === undefined && unit !== 'bytes') return `${short(value)}${unit === 'count' ? '' : ` ${unit}`}`;
  const inBase = value / (inSecond ?? 1);
  const fitting = inSecond === undefined ? SIZES : TIMES;
  const [name, size] = fitting.find(([, least]) => inBase >= least) ?? fitting.at(-1)!;
  return `${short(inBase / size)} ${name}`;
}

function short(value: number): string {
  if (value >= 1000) return digits(BigInt(Math.round(value)));
  return String(Number(value.toPrecision(3)));
}

/** The quantiles in one line: `p50 1.2 us, p90 3 us, p99 9.1 us, p99.9 40 us`. Empty if there is no value. */
export function quantilesText(value: HistogramValue): string {
  if (value.count === 0n) return '';
  return QUANTILES.map(([name, q]) => `${name} ${valueText(value.quantile(q), value.unit)}`).join(', ');
}

/** A mean, in the unit that fits its size. */
export function meanText(sum: bigint, count: bigint, unit: string): string {
  return valueText(Number(sum) / Number(count), unit);
}

/** An edge of a bucket, which is in the exported unit, in the unit that fits its size. */
export function edgeText(edge: number, unit: string): string {
  return valueText(edge * (IN_SECOND[unit] ?? 1), unit);
}

/** A value in the exported unit. */
export function inExportedUnit(value: number, unit: string): number {
  return value / (IN_SECOND[unit] ?? 1);
}

/** Count, mean and extremes in one line. There must be a value. */
export function factsOf({ count, sum, min, max, unit }: HistogramValue): string {
  const [mean, least, most] = [meanText(sum, count, unit), valueText(Number(min), unit), valueText(Number(max), unit)];
  return `count ${digits(count)}, mean ${mean}, min ${least}, max ${most}`;
}

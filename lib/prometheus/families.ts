// The metric families of a schema: what each metric is called in Prometheus, and which values its samples have. Pure.

import { namedUnitOf } from '../base-unit.ts';
import { ErrorCode, MetricsError } from '../errors.ts';
import type { Scheme } from '../histogram/scheme.ts';
import {
  type DeviceGroupLayout,
  FIRST_BUCKET,
  LATENCY_COUNT,
  LATENCY_MAX,
  LATENCY_MIN,
  LATENCY_SUM,
  type Layout,
  type MetricLayout,
} from '../layout.ts';
import { unitOf } from '../schema.ts';
import { escapedHelp, nameInBaseUnit } from './names.ts';

export type FamilyType = 'counter' | 'gauge' | 'summary' | 'histogram';

/** The samples of a family that one owner of cells has: a group, a device, or all devices together. */
export interface Part {
  /** What follows the family's name in a sample's name: `_total`, `_bucket`, `_sum`, or nothing. */
  readonly suffix: string;
  /** The label `le` of a bucket: its upper edge in the base unit. */
  readonly le?: string;
  /** The cell of the value, counted from the owner's first cell. */
  readonly cell: number;
  /** How many digits of the value stand behind the decimal point. */
  readonly decimals: number;
}

export interface Family {
  /** The family's name in OpenMetrics, without the suffix of a sample. */
  readonly name: string;
  readonly type: FamilyType;
  readonly unit: '' | 'bytes' | 'seconds';
  readonly help: string;
  /** Where the schema defines the metric, such as `vcpu.exit_io_out`. */
  readonly path: string;
  readonly parts: readonly Part[];
  /** The buckets of a histogram, and the first of their cells. */
  readonly buckets?: { readonly scheme: Scheme; readonly cell: number };
  /** The group of the devices, for a metric of devices. */
  readonly devices: DeviceGroupLayout | undefined;
  /** Whether the samples are those of all devices together. */
  readonly isAggregate: boolean;
}

/** The suffixes of the samples that a family of a type may have, now or in another version of the format. */
const SUFFIXES: Readonly<Record<FamilyType, readonly string[]>> = {
  counter: ['', '_total', '_created'],
  gauge: [''],
  summary: ['', '_count', '_sum', '_created'],
  histogram: ['', '_bucket', '_count', '_sum', '_created'],
};

const plans = new WeakMap<Layout, Map<string, readonly Family[]>>();

/**
 * The families of a layout, in the order of its schema; always the same array for the same layout and prefix.
 * @throws MetricsError `ERR_METRICS_SCHEMA` if two metrics would have the same name. The message names both.
 */
export function familiesOf(layout: Layout, prefix: string): readonly Family[] {
  let byPrefix = plans.get(layout);
  if (byPrefix === undefined) plans.set(layout, (byPrefix = new Map()));
  let families = byPrefix.get(prefix);
  if (families === undefined) {
    const hasCounts = layout.latencyCells === 'counted';
    families = layout.entries.flatMap((entry): Family[] => {
      if (entry.kind === 'utcTimestampMs') return [];
      const of = (owner: Owner) => entry.metrics.flatMap((metric) => familiesOfMetric(prefix, entry.key, metric, hasCounts, owner));
      if (entry.kind === 'group') return of({});
      return [...of({ devices: entry }), ...(entry.aggregate ? of({ devices: entry, isAggregate: true }) : [])];
    });
    checkNames(families);
    byPrefix.set(prefix, families);
  }
  return families;
}

interface Owner {
  readonly devices?: DeviceGroupLayout;
  readonly isAggregate?: boolean;
}

function familiesOfMetric(
  prefix: string,
  group: string,
  { name, path, def, cell, scheme }: MetricLayout,
  hasCounts: boolean,
  { devices, isAggregate = false }: Owner,
): Family[] {
  const unit = unitOf(name, def);
  const { name: baseUnit, decimals } = namedUnitOf(name, unit);
  const begin = `${prefix === '' ? '' : `${prefix}_`}${group}_${isAggregate ? 'all_' : ''}`;
  const common = { unit: baseUnit, path, devices, isAggregate };
  const gauge = (gaugeName: string, help: string, gaugeCell: number): Family => {
    return { ...common, name: `${begin}${gaugeName}`, type: 'gauge', help, parts: [{ suffix: '', cell: gaugeCell, decimals }] };
  };
  switch (def.kind) {
    case 'store':
      return [gauge(nameInBaseUnit(name, unit), def.doc, cell)];
    case 'inc': {
      const stem = name.endsWith('_total') ? name.slice(0, -'_total'.length) : name;
      const parts = [{ suffix: '_total', cell, decimals }];
      return [{ ...common, name: `${begin}${nameInBaseUnit(stem, unit)}`, type: 'counter', help: def.doc, parts }];
    }
    case 'latency':
    case 'histogram': {
      const own = { ...common, name: `${begin}${nameInBaseUnit(name, unit)}`, help: def.doc };
      const sum = { suffix: '_sum', cell: cell + LATENCY_SUM, decimals };
      const count = { suffix: '_count', cell: cell + LATENCY_COUNT, decimals: 0 };
      const whole: Family =
        scheme === undefined
          ? { ...own, type: 'summary', parts: [...(hasCounts ? [count] : []), sum] }
          : {
              ...own,
              type: 'histogram',
              parts: [...octavesOf(scheme, cell + FIRST_BUCKET), { ...count, cell: lastBucket(scheme, cell) }, sum],
              buckets: { scheme, cell: cell + FIRST_BUCKET },
            };
      // Where a line shows 0 for the extremes of all devices, there are no extremes to export.
      if (isAggregate && devices?.latencyAggregate === 'zero') return [whole];
      return [
        whole,
        gauge(nameInBaseUnit(name, unit, '_min'), `${def.doc} (the shortest; 0 before the first)`, cell + LATENCY_MIN),
        gauge(nameInBaseUnit(name, unit, '_max'), `${def.doc} (the longest)`, cell + LATENCY_MAX),
      ];
    }
  }
}

function lastBucket({ buckets }: Scheme, cell: number): number {
  return cell + FIRST_BUCKET + buckets - 1;
}

/**
 * The buckets of a histogram whose upper edges are powers of two in the base unit, and the bucket of all values. Each
 * of these edges is also an edge of the histogram, so the counts are exact. `cell` is the first bucket.
 */
function octavesOf({ scale, first, buckets }: Scheme, cell: number): Part[] {
  const parts: Part[] = [];
  // The last bucket also has all larger values, so its upper edge is no edge of an octave.
  for (let bucket = 0; bucket < buckets - 1; bucket++) {
    const power = (first + bucket) / 2 ** scale;
    if (Number.isInteger(power)) parts.push({ suffix: '_bucket', le: floatText(2 ** power), cell: cell + bucket, decimals: 0 });
  }
  return [...parts, { suffix: '_bucket', le: '+Inf', cell: cell + buckets - 1, decimals: 0 }];
}

/** A number as OpenMetrics wants the edges of buckets: `1.0`, not `1`. */
function floatText(value: number): string {
  const text = `${value}`;
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/** No two families may have a sample of the same name, nor may one be called as a sample of the other. */
function checkNames(families: readonly Family[]): void {
  const taken = new Map<string, Family>();
  for (const family of families) {
    for (const suffix of SUFFIXES[family.type]) {
      const name = `${family.name}${suffix}`;
      const other = taken.get(name);
      if (other !== undefined) throw new FamilyClash(name, other, family);
      taken.set(name, family);
    }
  }
}

/** The families of several schemas together, each name once, in the order of their first schema. */
export class FamilyUnion {
  readonly families: Family[] = [];
  readonly #taken = new Map<string, Family>();
  readonly #index = new Map<string, number>();
  readonly #indices = new WeakMap<readonly Family[], Int32Array>();

  /**
   * The index of each of these families in `families`.
   * @throws MetricsError `ERR_METRICS_SCHEMA` if a name has another type or unit in another schema. The message names
   * both metrics. Nothing changes then.
   */
  indicesOf(families: readonly Family[]): Int32Array {
    let indices = this.#indices.get(families);
    if (indices === undefined) {
      for (const family of families) this.#check(family);
      indices = Int32Array.from(families, (family) => this.#add(family));
      this.#indices.set(families, indices);
    }
    return indices;
  }

  #check(family: Family): void {
    const same = this.families[this.#index.get(family.name) ?? -1];
    if (same !== undefined && same.type === family.type && same.unit === family.unit) return;
    for (const suffix of SUFFIXES[family.type]) {
      const other = this.#taken.get(`${family.name}${suffix}`);
      if (other !== undefined) throw new FamilyClash(`${family.name}${suffix}`, other, family);
    }
  }

  #add(family: Family): number {
    const known = this.#index.get(family.name);
    if (known !== undefined) return known;
    for (const suffix of SUFFIXES[family.type]) this.#taken.set(`${family.name}${suffix}`, family);
    this.#index.set(family.name, this.families.length);
    return this.families.push(family) - 1;
  }
}

/** Two metrics would have the same name. */
export class FamilyClash extends MetricsError {
  /** The family that has the name already. */
  readonly holder: Family;

  constructor(name: string, holder: Family, claimant: Family) {
    const what = (family: Family) => `the ${family.type} '${family.name}' of ${family.path}${family.isAggregate ? ' of all devices' : ''}`;
    super(ErrorCode.SCHEMA, `Two metrics would be exported as '${name}': ${what(holder)}, and ${what(claimant)}`);
    this.holder = holder;
  }
}

/** The comment lines before the samples of a family. */
export function headerOf({ name, type, unit, help }: Family, isOpenMetrics: boolean): string {
  if (!isOpenMetrics) {
    const shown = type === 'counter' ? `${name}_total` : name;
    return `# HELP ${shown} ${escapedHelp(help, false)}\n# TYPE ${shown} ${type}\n`;
  }
  return `# TYPE ${name} ${type}\n${unit === '' ? '' : `# UNIT ${name} ${unit}\n`}# HELP ${name} ${escapedHelp(help, true)}\n`;
}

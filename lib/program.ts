// The flush program: a layout compiled to literal JSON bytes interleaved with cell reads. native/flush/program.h runs
// it. Pure.

import type { Scheme } from './histogram/scheme.ts';
import {
  type DeviceGroupLayout,
  FIRST_BUCKET,
  LATENCY_MAX,
  LATENCY_MIN,
  LATENCY_SUM,
  type Layout,
  type MetricLayout,
  staticMetrics,
} from './layout.ts';
import type { Schema } from './schema.ts';

/** What an instruction prints after its literal. The numbers are those of `Op` in native/flush/program.h. */
export const Op = {
  text: 0,
  timestamp: 1,
  inc: 2,
  store: 3,
  min: 4,
  max: 5,
  devices: 6,
  sumOfInc: 7,
  sumOfStore: 8,
  minOfStore: 9,
  maxOfStore: 10,
  zero: 11,
  bucketCount: 12,
  bucketOffset: 13,
  bucketList: 14,
} as const;

/** What every line contains besides the metrics. */
export interface Identity {
  readonly id?: string;
  readonly properties?: Readonly<Record<string, string>>;
}

/**
 * If the identity and the schema both define one key of the line, a sentence that names the key; otherwise undefined.
 */
export function keyClash(identity: Identity, schema: Schema): string | undefined {
  const key = Object.keys(identity).find((name) => Object.hasOwn(schema.shape, name));
  return key && `both the option '${key}' and the schema define the key '${key}' of the line`;
}

/** A histogram of the line. */
export interface LineHistogram {
  /** The number of its group of devices; -1 for a plain group. */
  readonly group: number;
  /**
   * The cell of its first bucket, for devices counted from the device's first cell: the operand of its instructions.
   */
  readonly firstBucket: number;
  readonly scheme: Scheme;
}

export interface Program {
  /** Four words per instruction: op, offset of its literal, length of its literal, operand. */
  readonly code: Uint32Array;
  /** The number of the instructions that make the line; the rest belong to groups of devices. */
  readonly mainEnd: number;
  /**
   * Five words per group of devices: the number of cells of a device, the begin and end of the instructions of a
   * device's fields, and the begin and end of the instructions of the group's aggregate.
   */
  readonly groups: Uint32Array;
  readonly literals: Uint8Array;
  readonly histograms: readonly LineHistogram[];
}

export function programOf(layout: Layout, identity: Identity): Program {
  const assembler = new Assembler();
  const identityText = bytesOf(identityLiteral(identity));
  const hasTimestamp = layout.entries.some((entry) => entry.kind === 'utcTimestampMs');
  // Every entry starts with a comma. When the line is built, the opening brace overwrites the first comma.
  if (!hasTimestamp) assembler.text(identityText);
  for (const entry of layout.entries) {
    if (entry.kind === 'utcTimestampMs') {
      assembler.text(`,"${entry.key}":`).emit(Op.timestamp).text(identityText);
    } else if (entry.kind === 'group') {
      assembler.text(`,"${entry.key}":{`);
      assembleFields(assembler, entry.metrics, cellOps);
      assembler.text('}');
    } else {
      assembler.emit(Op.devices, entry.group);
    }
  }
  const mainEnd = assembler.end();

  const groups = layout.devices.flatMap((device) => {
    const fieldsBegin = assembler.end();
    assembleFields(assembler, device.metrics, cellOps);
    assembler.text('}');
    const fieldsEnd = assembler.end();
    if (device.aggregate) assembleAggregate(assembler, device);
    return [device.cellKinds.length, fieldsBegin, fieldsEnd, fieldsEnd, assembler.end()];
  });
  const histograms = [
    ...histogramsIn(staticMetrics(layout), -1),
    ...layout.devices.flatMap(({ metrics, group }) => histogramsIn(metrics, group)),
  ];
  return { ...assembler.finished(), mainEnd, groups: Uint32Array.from(groups), histograms };
}

function histogramsIn(metrics: readonly MetricLayout[], group: number): LineHistogram[] {
  return metrics.flatMap(({ def, cell, scheme }) =>
    def.kind === 'histogram' ? [{ group, firstBucket: cell + FIRST_BUCKET, scheme: scheme! }] : [],
  );
}

/** The ops that print a metric: one op, or those of its min, max and sum. */
type Ops = (metric: MetricLayout) => number | readonly [min: number, max: number, sum: number];

const cellOps: Ops = ({ def }) => (def.kind === 'inc' ? Op.inc : def.kind === 'store' ? Op.store : [Op.min, Op.max, Op.inc]);

function assembleAggregate(assembler: Assembler, device: DeviceGroupLayout): void {
  assembler.text(`,"${device.key}":{`);
  assembleFields(assembler, device.metrics, ({ def }) => {
    if (def.kind === 'inc') return Op.sumOfInc;
    if (def.kind !== 'store') return device.latencyAggregate === 'zero' ? [Op.zero, Op.zero, Op.sumOfInc] : [Op.min, Op.max, Op.sumOfInc];
    return { sum: Op.sumOfStore, min: Op.minOfStore, max: Op.maxOfStore }[def.aggregate ?? 'sum'];
  });
  assembler.text('}');
}

function assembleFields(assembler: Assembler, metrics: readonly MetricLayout[], opsOf: Ops): void {
  let before = '"';
  for (const metric of metrics) {
    assembler.text(`${before}${metric.name}":`);
    before = ',"';
    const ops = opsOf(metric);
    if (typeof ops === 'number') {
      assembler.emit(ops, metric.cell);
      continue;
    }
    const [min, max, sum] = ops;
    if (metric.def.kind === 'histogram') {
      const buckets = metric.cell + FIRST_BUCKET;
      assembler.text('{"count":').emit(Op.bucketCount, buckets);
      assembler.text(',"sum":').emit(sum, metric.cell + LATENCY_SUM);
      assembler.text(',"min":').emit(min, metric.cell + LATENCY_MIN);
      assembler.text(',"max":').emit(max, metric.cell + LATENCY_MAX);
      assembler.text(`,"scale":${metric.scheme!.scale},"zero_count":`).emit(sum, buckets); // the first bucket is the zero bucket
      assembler.text(',"offset":').emit(Op.bucketOffset, buckets);
      assembler.text(',"bucket_counts":[').emit(Op.bucketList, buckets).text(']}');
      continue;
    }
    assembler.text('{"min_us":').emit(min, metric.cell + LATENCY_MIN);
    assembler.text(',"max_us":').emit(max, metric.cell + LATENCY_MAX);
    assembler
      .text(',"sum_us":')
      .emit(sum, metric.cell + LATENCY_SUM)
      .text('}');
  }
}

function identityLiteral({ id, properties }: Identity): string {
  const idText = id === undefined ? '' : `,"id":${JSON.stringify(id)}`;
  if (properties === undefined) return idText;
  const keys = Object.keys(properties).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `${idText},"properties":{${keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(properties[key])}`).join(',')}}`;
}

/** The UTF-8 of the text, a character for each byte: the assembler counts characters. */
function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/** Collects text until an instruction takes it as its literal. */
class Assembler {
  readonly #code: number[] = [];
  /** All literals, one after the other: a character for each byte. The keys of a schema are ASCII. */
  #literals = '';
  #begin = 0;

  text(text: string): this {
    this.#literals += text;
    return this;
  }

  emit(op: number, operand = 0): this {
    const end = this.#literals.length;
    this.#code.push(op, this.#begin, end - this.#begin, operand);
    this.#begin = end;
    return this;
  }

  /** Emits the text that is left. Returns the number of instructions. */
  end(): number {
    if (this.#literals.length > this.#begin) this.emit(Op.text);
    return this.#code.length / 4;
  }

  finished(): { readonly code: Uint32Array; readonly literals: Uint8Array } {
    return { code: Uint32Array.from(this.#code), literals: Uint8Array.from(Buffer.from(this.#literals, 'latin1')) };
  }
}

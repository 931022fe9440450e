// The line of a region, byte for byte as native code would have made it: the same program, run over slots.
// native/flush/program.cc is its counterpart.

import type { RegionDocument } from '../document.ts';
import type { Scheme } from '../histogram/scheme.ts';
import type { Layout } from '../layout.ts';
import { LATENCY_MAX, LATENCY_MIN, minimumOf } from '../layout.ts';
import { Op, type Program, programOf } from '../program.ts';
import type { CellMap, MappedDevice } from './cell-map.ts';
import { regionError } from './file.ts';
import { LINE_BYTES_MAX } from './format.ts';

/** A line without its time. */
export interface OpenLine {
  readonly head: string;
  /** The text after the time. Undefined if the schema has no time: then the head is the whole line. */
  readonly tail: string | undefined;
  /** The texts before, between and after the time and the groups of devices. The last text ends with the newline. */
  readonly frame: readonly string[];
}

export interface LineSource {
  readonly path: string;
  readonly document: RegionDocument;
  readonly layout: Layout;
  readonly map: CellMap;
}

/** The line with the increase from `before` to `now`. */
export function openLine(source: LineSource, now: BigUint64Array, before: BigUint64Array): OpenLine {
  const { layout, document } = source;
  const writer = new Writer(source, programOf(layout, document.identity), now, before);
  return writer.run();
}

/** The whole line, with a time in milliseconds since 1970. */
export function lineAt({ head, tail }: OpenLine, timeMs: number): string {
  return tail === undefined ? head : `${head}${timeMs}${tail}`;
}

interface Step {
  readonly op: number;
  readonly literal: string;
  readonly operand: number;
}

class Writer {
  readonly #source: LineSource;
  readonly #program: Program;
  readonly #now: BigUint64Array;
  readonly #before: BigUint64Array;
  #text = '';
  #head: string | undefined;
  readonly #frame: string[] = [];
  /** Where in `#text` the present part of the frame begins. */
  #frameBegin = 0;

  constructor(source: LineSource, program: Program, now: BigUint64Array, before: BigUint64Array) {
    this.#source = source;
    this.#program = program;
    this.#now = now;
    this.#before = before;
  }

  run(): OpenLine {
    for (const step of this.#steps(0, this.#program.mainEnd)) {
      this.#put(step.literal);
      if (step.op === Op.timestamp) {
        this.#endFrame();
        this.#head = this.#text;
        this.#text = '';
        this.#frameBegin = 0;
      } else if (step.op === Op.devices) {
        this.#endFrame();
        this.#putDevices(step.operand);
        this.#frameBegin = this.#text.length;
      } else if (step.op !== Op.text) this.#put(this.#cell(step, -1, [{ firstCell: 0 }]));
    }
    this.#endFrame();
    // Every entry begins with a comma; a brace replaces the first one.
    const opened = (text: string) => `{${text.slice(1)}`;
    const end = '}\n';
    const frame = [...this.#frame];
    if (frame[0] !== '') frame[0] = opened(frame[0]!);
    frame[frame.length - 1] += end;
    if (this.#head === undefined) return { head: `${opened(this.#text)}${end}`, tail: undefined, frame };
    return { head: opened(this.#head), tail: `${this.#text}${end}`, frame };
  }

  #endFrame(): void {
    this.#frame.push(this.#text.slice(this.#frameBegin));
  }

  *#steps(begin: number, end: number): Generator<Step> {
    const { code, literals } = this.#program;
    for (let i = begin; i < end; i++) {
      const [op, offset, bytes, operand] = code.subarray(4 * i, 4 * i + 4) as unknown as [number, number, number, number];
      yield { op, literal: utf8.decode(literals.subarray(offset, offset + bytes)), operand };
    }
  }

  #put(text: string): void {
    this.#text += text;
    if (this.#text.length > LINE_BYTES_MAX) throw regionError(this.#source.path, `its line would have more than ${LINE_BYTES_MAX} bytes`);
  }

  #delta(slot: number): bigint {
    return BigInt.asUintN(64, this.#now[slot]! - this.#before[slot]!);
  }

  /** The text of one step. Counters are those of all the devices; other values are those of the first device. */
  #cell(step: Step, group: number, devices: readonly Pick<MappedDevice, 'firstCell'>[]): string {
    const { op, operand } = step;
    if (op === Op.inc) return `${this.#deltaOf(devices, step)}`;
    if (isOfBuckets(op)) return this.#buckets(step, group, devices);
    const slot = devices[0]!.firstCell + operand;
    return `${op === Op.min ? minimumOf(this.#now[slot]!, this.#now[slot + LATENCY_MAX - LATENCY_MIN]!) : this.#now[slot]!}`;
  }

  #putDevices(group: number): void {
    const { key, aggregate } = this.#source.layout.devices[group]!;
    const [, fieldsBegin, fieldsEnd, aggregateBegin, aggregateEnd] = this.#program.groups.subarray(
      5 * group,
      5 * group + 5,
    ) as unknown as number[];
    const fields = [...this.#steps(fieldsBegin!, fieldsEnd!)];
    const devices = this.#source.map.devices[group]!;
    for (const [device, ...namesakes] of aggregate
      ? devices.filter(({ removed }) => !removed).map((one) => [one])
      : this.#shown(group, devices, fields)) {
      this.#put(`,${JSON.stringify(`${key}_${device!.id}`)}:{`);
      for (const step of fields) {
        this.#put(step.literal);
        if (step.op !== Op.text) this.#put(this.#cell(step, group, [device!, ...namesakes]));
      }
    }
    const steps = [...this.#steps(aggregateBegin!, aggregateEnd!)];
    const sums = steps.map((step) => this.#folded(step, devices));
    steps.forEach((step, i) => {
      const { op, literal } = step;
      this.#put(literal);
      if (isOfBuckets(op)) this.#put(this.#buckets(step, group, devices));
      else if (op === Op.min) this.#put(`${minimumOf(sums[i]!, sums[i + 1]!)}`);
      else if (op !== Op.text) this.#put(`${sums[i]!}`);
    });
  }

  /**
   * For a group without an aggregate: the devices that the line shows. Devices with the same id share a key of the
   * line, and are in one list. Counters show the deltas of all devices in a list. Other metrics show the values of the
   * list's first device: the living device, or else the youngest device with pending deltas.
   */
  #shown(group: number, devices: readonly MappedDevice[], fields: readonly Step[]): MappedDevice[][] {
    const shown: MappedDevice[][] = [];
    for (let begin = 0, end = 0; begin < devices.length; begin = end) {
      while (end < devices.length && devices[end]!.id === devices[begin]!.id) end++;
      const namesakes = devices.slice(begin, end).filter(({ regionCell }) => regionCell >= 0);
      const hasRest = (device: MappedDevice) =>
        fields.some((step) =>
          step.op === Op.bucketCount
            ? this.#bucketDeltas(step, group, [device]).some((delta) => delta !== 0n)
            : step.op === Op.inc && this.#deltaOf([device], step) !== 0n,
        );
      const last = namesakes.findLast((device) => !device.removed || hasRest(device));
      if (last !== undefined) shown.push([last, ...namesakes.filter((device) => device !== last)]);
    }
    return shown;
  }

  #bucketDeltas({ op, operand }: Step, group: number, devices: readonly Pick<MappedDevice, 'firstCell'>[]): bigint[] {
    const { buckets } = this.#schemeOf(group, operand);
    return Array.from({ length: buckets }, (_, i) => this.#deltaOf(devices, { op, operand: operand + i, literal: '' }));
  }

  #schemeOf(group: number, operand: number): Scheme {
    return this.#program.histograms.find((one) => one.group === group && one.firstBucket === operand)!.scheme;
  }

  /** What a line says of buckets: their sum, the number of the first bucket that is not empty, or their list. */
  #buckets(step: Step, group: number, devices: readonly Pick<MappedDevice, 'firstCell'>[]): string {
    const deltas = this.#bucketDeltas(step, group, devices);
    if (step.op === Op.bucketCount)
      return `${BigInt.asUintN(
        64,
        deltas.reduce((sum, delta) => sum + delta, 0n),
      )}`;
    const begin = deltas.findIndex((delta, i) => i > 0 && delta !== 0n);
    if (step.op === Op.bucketOffset) return begin < 0 ? '0' : `${this.#schemeOf(group, step.operand).first + begin - 1}`;
    return begin < 0 ? '' : deltas.slice(begin, deltas.findLastIndex((delta) => delta !== 0n) + 1).join(',');
  }

  #deltaOf(devices: readonly Pick<MappedDevice, 'firstCell'>[], { operand }: Step): bigint {
    return BigInt.asUintN(
      64,
      devices.reduce((sum, { firstCell }) => sum + this.#delta(firstCell + operand), 0n),
    );
  }

  #folded({ op, operand }: Step, devices: readonly MappedDevice[]): bigint {
    const living = () => devices.flatMap(({ removed, firstCell }) => (removed ? [] : [this.#now[firstCell + operand]!]));
    switch (op) {
      case Op.sumOfInc:
        return this.#deltaOf(devices, { op, operand, literal: '' });
      // A removed device has no current value.
      case Op.sumOfStore:
        return BigInt.asUintN(
          64,
          living().reduce((sum, value) => sum + value, 0n),
        );
      case Op.minOfStore:
        return (
          living().reduce<bigint | undefined>((least, value) => (least === undefined || value < least ? value : least), undefined) ?? 0n
        );
      case Op.maxOfStore:
      case Op.min:
      case Op.max:
        return living().reduce((most, value) => (value > most ? value : most), 0n);
      default:
        return 0n;
    }
  }
}

const isOfBuckets = (op: number) => op === Op.bucketCount || op === Op.bucketOffset || op === Op.bucketList;

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

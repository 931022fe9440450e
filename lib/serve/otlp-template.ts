// Metrics of OpenTelemetry's protocol as bytes that are kept between two requests. All numbers in them have a fixed
// length, so a request is a copy with other numbers. Virtual machines that differ only in numbers share a template.
// Pure.

import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

import type { Words } from '../prometheus/values.ts';
import { varintBytes } from '../prometheus/varint.ts';
import { tailOf } from './otlp-messages.ts';

/** A number in a template that follows a value: the index of its byte, and the index of the value's lower half. */
type Slot = readonly [at: number, word: number];

/** A point: its bytes, the index of its time in them, and the numbers that follow a value. */
interface Point {
  readonly bytes: Uint8Array;
  readonly nowAt: number;
  /** Integers in a field that is `as_int` up to 2^63-1, and `as_double` above. */
  readonly integers: readonly Slot[];
  /** Integers without a sign. */
  readonly counts: readonly Slot[];
  /** Values that are divided. */
  readonly doubles: readonly Slot[];
  readonly divisor: number;
}

const AS_DOUBLE = (4 << 3) | WireType.Bit64;

/** The bytes of a point's field with a fixed length: a tag, and the number. */
const FIELD_BYTES = 9;
/** A point begins with its two times. */
const NOW_AT = FIELD_BYTES + 1;
/** Where the number of the n-th field after the times begins. */
const numberAt = (field: number) => (2 + field) * FIELD_BYTES + 1;

const scratch = new BinaryWriter();

/** The two times. Template.copy() writes them. */
function times(): BinaryWriter {
  return scratch.tag(2, WireType.Bit64).fixed64(0n).tag(3, WireType.Bit64).fixed64(0n);
}

/** A `NumberDataPoint` whose value stays as it is. */
export function constantPoint(attributes: Uint8Array, value: number): Point {
  const bytes = times().tag(6, WireType.Bit64).sfixed64(value).raw(attributes).finish();
  return { bytes, nowAt: NOW_AT, integers: [], counts: [], doubles: [], divisor: 1 };
}

/** A `NumberDataPoint`. */
export function numberPoint(attributes: Uint8Array, word: number, decimals: number): Point {
  const field = decimals === 0 ? 6 : 4;
  const bytes = times().tag(field, WireType.Bit64).fixed64(0n).raw(attributes).finish();
  const slot: Slot = [numberAt(0), word];
  const [integers, doubles] = decimals === 0 ? [[slot], []] : [[], [slot]];
  return { bytes, nowAt: NOW_AT, integers, counts: [], doubles, divisor: 10 ** decimals };
}

/** Where the values of a latency are. */
export interface LatencyWords {
  /** Undefined if the region does not have it. */
  readonly count: number | undefined;
  readonly sum: number;
  /** Undefined if there is none. */
  readonly extremes: { readonly min: number; readonly max: number } | undefined;
}

/** A `HistogramDataPoint`, with one bucket for all values. */
export function latencyPoint(attributes: Uint8Array, words: LatencyWords, decimals: number): Point {
  const { count, sum, extremes } = words;
  times().tag(4, WireType.Bit64).fixed64(0n).tag(5, WireType.Bit64).double(0);
  scratch.tag(6, WireType.LengthDelimited).uint32(8).fixed64(0n);
  // The tag and the length of the bucket take two bytes.
  const bucketAt = numberAt(2) + 1;
  const minAt = bucketAt + FIELD_BYTES;
  if (extremes !== undefined) scratch.tag(11, WireType.Bit64).double(0).tag(12, WireType.Bit64).double(0);
  return {
    bytes: scratch.raw(attributes).finish(),
    nowAt: NOW_AT,
    integers: [],
    counts: count === undefined ? [] : [[numberAt(0), count] as const, [bucketAt, count] as const],
    doubles: [
      [numberAt(1), sum],
      ...(extremes === undefined ? [] : [[minAt, extremes.min] as const, [minAt + FIELD_BYTES, extremes.max] as const]),
    ],
    divisor: 10 ** decimals,
  };
}

/** Makes a template, one `Metric` after the other. */
export class TemplateWriter {
  readonly #writer = new BinaryWriter();
  readonly #nows: number[] = [];
  readonly #integers: number[] = [];
  readonly #counts: number[] = [];
  readonly #doubles: number[] = [];
  readonly #divisors: number[] = [];
  #at = 0;

  /** Adds the field `metrics` of `ScopeMetrics`. */
  add(head: Uint8Array, field: number, points: readonly Point[]): void {
    const tail = tailOf(field);
    const dataBytes = points.reduce((sum, { bytes }) => sum + 1 + varintBytes(bytes.length) + bytes.length, tail.length);
    const metricBytes = head.length + 1 + varintBytes(dataBytes) + dataBytes;
    this.#open(2, metricBytes);
    this.#add(head);
    this.#open(field, dataBytes);
    for (const point of points) {
      this.#open(1, point.bytes.length);
      const at = this.#at;
      this.#nows.push(at + point.nowAt);
      for (const [offset, word] of point.integers) this.#integers.push(at + offset, word);
      for (const [offset, word] of point.counts) this.#counts.push(at + offset, word);
      for (const [offset, word] of point.doubles) {
        this.#doubles.push(at + offset, word);
        this.#divisors.push(point.divisor);
      }
      this.#add(point.bytes);
    }
    this.#add(tail);
  }

  finish(): Template {
    return new Template(this.#writer.finish(), this.#nows, this.#integers, this.#counts, this.#doubles, this.#divisors);
  }

  #open(field: number, bytes: number): void {
    this.#writer.tag(field, WireType.LengthDelimited).uint32(bytes);
    this.#at += 1 + varintBytes(bytes);
  }

  #add(bytes: Uint8Array): void {
    this.#writer.raw(bytes);
    this.#at += bytes.length;
  }
}

/** Values, and the same memory as doubles. */
export interface ValueBits extends Words {
  readonly doubles: Float64Array;
}

/** The numbers of one copy of a template. */
export interface TemplateNumbers {
  readonly bits: ValueBits;
  readonly startNs: bigint;
  readonly nowNs: bigint;
}

export class Template {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #nows: Uint32Array;
  /** In turn: the index of a byte, and the index of a value's lower half. */
  readonly #integers: Uint32Array;
  readonly #counts: Uint32Array;
  readonly #doubles: Uint32Array;
  /** For each double. */
  readonly #divisors: Float64Array;

  constructor(
    bytes: Uint8Array<ArrayBuffer>,
    nows: readonly number[],
    integers: readonly number[],
    counts: readonly number[],
    doubles: readonly number[],
    divisors: readonly number[],
  ) {
    this.#bytes = bytes;
    this.#nows = Uint32Array.from(nows);
    this.#integers = Uint32Array.from(integers);
    this.#counts = Uint32Array.from(counts);
    this.#doubles = Uint32Array.from(doubles);
    this.#divisors = Float64Array.from(divisors);
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** Writes a copy with these numbers to the bytes of `view`, from `begin` on. */
  copy({ bits: { halves: words, doubles: bits }, startNs, nowNs }: TemplateNumbers, view: DataView<ArrayBuffer>, begin: number): void {
    new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(this.#bytes, begin);
    const [start, now] = [doubleOf(startNs), doubleOf(nowNs)];
    for (const nowAt of this.#nows) {
      view.setFloat64(begin + nowAt - FIELD_BYTES, start, true);
      view.setFloat64(begin + nowAt, now, true);
    }
    const integers = this.#integers;
    for (let i = 0; i < integers.length; i += 2) {
      const at = begin + integers[i]!;
      const word = integers[i + 1]!;
      const high = words[word + 1]!;
      // The bytes of the template say that it is an integer. As a double, its bits are copied at once.
      if (high < NO_NUMBER) view.setFloat64(at, bits[word >> 1]!, true);
      else if (high <= 0x7fff_ffff) writeHalves(view, at, words[word]!, high);
      else {
        view.setUint8(at - 1, AS_DOUBLE);
        view.setFloat64(at, high * 2 ** 32 + words[word]!, true);
      }
    }
    const counts = this.#counts;
    for (let i = 0; i < counts.length; i += 2) {
      const word = counts[i + 1]!;
      writeHalves(view, begin + counts[i]!, words[word]!, words[word + 1]!);
    }
    const doubles = this.#doubles;
    for (let i = 0; i < doubles.length; i += 2) {
      const word = doubles[i + 1]!;
      view.setFloat64(begin + doubles[i]!, (words[word + 1]! * 2 ** 32 + words[word]!) / this.#divisors[i >> 1]!, true);
    }
  }
}

/** From this upper half on, 64 bits are no finite double, and copying them as a double may change them. */
const NO_NUMBER = 0x7ff0_0000;

const timeBits = new BigUint64Array(1);
const timeDouble = new Float64Array(timeBits.buffer);

/** The double with the bits of a time; that of no time, if the time lies beyond all calendars. */
function doubleOf(ns: bigint): number {
  timeBits[0] = ns < 0n || ns >> 32n >= BigInt(NO_NUMBER) ? 0n : ns;
  return timeDouble[0]!;
}

function writeHalves(view: DataView, at: number, low: number, high: number): void {
  view.setUint32(at, low, true);
  view.setUint32(at + 4, high, true);
}

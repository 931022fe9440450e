// The samples of one source as text, which is kept between two scrapes. From scrape to scrape, only numbers change: the
// number of a changed value is written over the old number, and text is moved only where a number has become longer or
// shorter. The names and labels are rendered again when devices come or go.

import type { Sampled } from '../sampled.ts';
import { changeDigits, DECIMAL_BYTES_MAX, digitsOf, writeDecimal } from './decimal.ts';
import { EOF } from './eof.ts';
import { type Family, familiesOf, headerOf, type Part } from './families.ts';
import { escapedLabel } from './names.ts';
import type { SamplesOptions, SourceSamples } from './rendering.ts';
import { Shape, wordsFor } from './values.ts';

export interface TextOptions extends SamplesOptions {
  readonly isOpenMetrics: boolean;
  /** Whether each family begins with its comment lines. Without them, families of several sources can be joined. */
  readonly hasHeaders: boolean;
}

export class SourceText implements SourceSamples {
  readonly #options: TextOptions;
  #shape: Shape | undefined;
  #families: readonly Family[] = [];
  /** Each sample takes one line. For each family, the number of its first line; and the number of all lines. */
  #firstLines = new Uint32Array(1);
  /** For each line: the index of its value in the words, the decimals of the value, and where the line ends. */
  #words = new Uint32Array();
  #decimals = new Uint8Array();
  #ends = new Uint32Array();
  /** For each line, how many bytes its number has. */
  #widths = new Uint8Array();
  /** The values that the text shows, and memory for the next ones. */
  #shown = wordsFor(0);
  #next = wordsFor(0);
  #text = new Uint8Array();
  #length = 0;
  #isAscii = true;

  constructor(options: TextOptions) {
    this.#options = options;
  }

  /** The whole text, as bytes that belong to the caller. */
  bytes(): Uint8Array<ArrayBuffer> {
    const bytes = Buffer.allocUnsafe(this.#length);
    bytes.set(this.#text.length === this.#length ? this.#text : this.#text.subarray(0, this.#length));
    return bytes;
  }

  /** The whole text. */
  text(): string {
    const bytes = Buffer.from(this.#text.buffer, 0, this.#length);
    return bytes.toString(this.#isAscii ? 'latin1' : 'utf8');
  }

  /** How many bytes the text has. */
  get length(): number {
    return this.#length;
  }

  get families(): readonly Family[] {
    return this.#families;
  }

  /** Where the text of a family begins and ends. */
  begin(family: number): number {
    return this.#endOf(this.#firstLines[family]! - 1);
  }
  end(family: number): number {
    return this.#endOf(this.#firstLines[family + 1]! - 1);
  }

  /** Copies a part of the text. */
  copy(begin: number, end: number, to: Uint8Array, at: number): void {
    const text = this.#text;
    // A short copy in JavaScript takes less time than a call.
    if (end - begin > 256) to.set(text.subarray(begin, end), at);
    else for (let i = begin, j = at; i < end; i++, j++) to[j] = text[i]!;
  }

  update(sampled: Sampled): void {
    if (this.#shape === undefined || !this.#shape.fits(sampled)) this.#render(sampled);
    else {
      this.#shape.fill(sampled, this.#next);
      this.#patch();
    }
    [this.#shown, this.#next] = [this.#next, this.#shown];
  }

  #endOf(line: number): number {
    return line < 0 ? 0 : this.#ends[line]!;
  }

  /** Renders all names and labels, with the values. */
  #render(sampled: Sampled): void {
    const shape = new Shape(sampled);
    const { prefix, isOpenMetrics, hasHeaders } = this.#options;
    this.#families = familiesOf(sampled.layout, prefix);
    this.#shape = undefined;
    this.#shown = wordsFor(shape.values);
    this.#next = wordsFor(shape.values);
    shape.fill(sampled, this.#next);

    const labelsOf = this.#labelsFor(shape);
    const lines: string[] = [];
    const words: number[] = [];
    const decimals: number[] = [];
    const firstLines: number[] = [];
    for (const family of this.#families) {
      firstLines.push(lines.length);
      let header = hasHeaders ? headerOf(family, isOpenMetrics) : '';
      for (const { labels, first } of labelsOf(family)) {
        for (const part of family.parts) {
          lines.push(`${header}${family.name}${part.suffix}${withEdge(labels, part)} `);
          words.push(2 * (first + part.cell));
          decimals.push(part.decimals);
          header = '';
        }
      }
    }
    firstLines.push(lines.length);
    this.#firstLines = Uint32Array.from(firstLines);
    this.#words = Uint32Array.from(words);
    this.#decimals = Uint8Array.from(decimals);
    this.#ends = new Uint32Array(lines.length);
    this.#widths = new Uint8Array(lines.length);
    this.#write(lines);
    this.#shape = shape;
  }

  /** Who has samples in a family: their labels, and their first value. */
  #labelsFor(shape: Shape): (family: Family) => readonly { readonly labels: string; readonly first: number }[] {
    const { labels } = this.#options;
    const inBraces = (own: string) => (own === '' ? '' : `{${own}}`);
    const plain = [{ labels: inBraces(labels), first: 0 }];
    const devices = shape.layout.devices.map((group) => {
      return shape.living(group).map(({ id, firstCell }) => {
        return { labels: inBraces(`${labels}${labels === '' ? '' : ','}device="${escapedLabel(id)}"`), first: firstCell };
      });
    });
    const aggregates = shape.aggregates.map((first) => [{ labels: inBraces(labels), first }]);
    return (family) => {
      if (family.devices === undefined) return plain;
      return (family.isAggregate ? aggregates : devices)[family.devices.group]!;
    };
  }

  /** Writes the lines, each with its value of `#next`. */
  #write(lines: readonly string[]): void {
    const joined = lines.join('');
    const bytes = Buffer.byteLength(joined);
    this.#isAscii = bytes === joined.length;
    const text = scratchOf(bytes + lines.length * (DECIMAL_BYTES_MAX + 1) + EOF.length);
    const next = this.#next.halves;
    let at = 0;
    lines.forEach((line, i) => {
      at += text.write(line, at);
      const word = this.#words[i]!;
      const end = writeDecimal(text, at, next[word]!, next[word + 1]!, this.#decimals[i]!);
      this.#widths[i] = end - at;
      text[end] = NEWLINE;
      at = end + 1;
      this.#ends[i] = at;
    });
    const { isOpenMetrics, hasHeaders } = this.#options;
    if (isOpenMetrics && hasHeaders) at += EOF.copy(text, at);
    this.#keep(text, at);
  }

  /** Writes the numbers of `#next` that differ from those that are shown. */
  #patch(): void {
    const words = this.#words;
    const shown = this.#shown.halves;
    const next = this.#next.halves;
    const text = this.#text;
    const ends = this.#ends;
    const widths = this.#widths;
    const decimals = this.#decimals;
    let isMoved = false;
    for (let line = 0; line < words.length; line++) {
      const word = words[line]!;
      const low = next[word]!;
      const high = next[word + 1]!;
      const before = shown[word]!;
      const isHighSame = high === shown[word + 1];
      if (low === before && isHighSame) continue;
      const end = ends[line]! - 1;
      if (isHighSame && decimals[line] === 0) {
        // A count that goes up a little seldom changes more than its last digit, which needs no division.
        const digit = text[end - 1]! + (low - before);
        if (digit >= ZERO && digit <= NINE) {
          text[end - 1] = digit;
          continue;
        }
        if (high === 0 && digitsOf(low) === widths[line]) {
          changeDigits(text, end, before, low);
          continue;
        }
      }
      const width = writeDecimal(digits, 0, low, high, decimals[line]!);
      if (width !== widths[line]) {
        isMoved = true;
        continue;
      }
      for (let i = 0; i < width; i++) text[end - width + i] = digits[i]!;
    }
    if (isMoved) this.#move();
  }

  /** Moves the text, so that there is room for each number that has become longer or shorter. */
  #move(): void {
    const words = this.#words;
    const shown = this.#shown.halves;
    const next = this.#next.halves;
    const ends = this.#ends;
    const widths = this.#widths;
    const from = this.#text;
    const to = scratchOf(this.#length + words.length * DECIMAL_BYTES_MAX);
    /** What is copied: up to `copied` of the old text, which ends at `at` in the new text. */
    let copied = 0;
    let at = 0;
    for (let line = 0; line < words.length; line++) {
      const word = words[line]!;
      const low = next[word]!;
      const high = next[word + 1]!;
      const end = ends[line]!;
      if (low !== shown[word] || high !== shown[word + 1]) {
        const width = writeDecimal(digits, 0, low, high, this.#decimals[line]!);
        const before = widths[line]!;
        if (width !== before) {
          const number = end - 1 - before;
          to.set(from.subarray(copied, number), at);
          at += number - copied;
          for (let i = 0; i < width; i++) to[at + i] = digits[i]!;
          at += width;
          copied = end - 1;
          widths[line] = width;
        }
      }
      ends[line] = at + end - copied;
    }
    to.set(from.subarray(copied, this.#length), at);
    this.#keep(to, at + this.#length - copied);
  }

  /** Takes over the text from the scratch memory. Some room is left, since numbers become longer one by one. */
  #keep(text: Uint8Array, length: number): void {
    if (length > this.#text.length) this.#text = new Uint8Array(length + (length >>> 5));
    this.#text.set(text.subarray(0, length));
    this.#length = length;
  }
}

/** The labels in braces, with that of a bucket. */
function withEdge(labels: string, { le }: Part): string {
  if (le === undefined) return labels;
  return labels === '' ? `{le="${le}"}` : `${labels.slice(0, -1)},le="${le}"}`;
}

const NEWLINE = 0x0a;
const ZERO = 0x30;
const NINE = 0x39;
/** For one number. */
const digits = new Uint8Array(DECIMAL_BYTES_MAX);
/** For a text that is being made. */
let scratch = Buffer.alloc(0);

function scratchOf(bytes: number): Buffer {
  if (scratch.length < bytes) scratch = Buffer.from(new ArrayBuffer(bytes));
  return scratch;
}

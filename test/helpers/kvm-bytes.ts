// Statistics descriptors of KVM as bytes: those that were recorded on a kernel, and files that play such a descriptor.
// This decoder and encoder know nothing of the package.

import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { temporaryFolder } from './workplace.ts';

const HEADER = 24;
const DESCRIPTOR = 16;
const NAME = 48;

/** The kernel's numbers. */
export const Type = { cumulative: 0, instant: 1, peak: 2, linearHistogram: 3, logHistogram: 4 } as const;
const TYPE_BITS = 0xf;

export interface Statistic {
  readonly name: string;
  /** The type, the unit << 4 and the base << 8. */
  readonly flags: number;
  readonly exponent: number;
  /** Its words. */
  readonly values: readonly bigint[];
}

/** The statistics of two kernels, recorded by test/fixtures/kvm/record.cc after 1,000 exits of one vCPU. */
export const RECORDED = ['debian-6.1-amd', 'linux-6.18-pvm'] as const;
export const recorded = (kernel: string, of: 'vm' | 'vcpu') =>
  fileURLToPath(new URL(`../fixtures/kvm/${kernel}-${of}.bin`, import.meta.url));

export function decoded(path: string): Statistic[] {
  const bytes = readFileSync(path);
  const [, nameBytes, count, , descriptors, data] = Array.from({ length: 6 }, (_, i) => bytes.readUInt32LE(4 * i)) as number[];
  return Array.from({ length: count! }, (_, i) => {
    const at = descriptors! + i * (DESCRIPTOR + nameBytes!);
    const name = bytes.toString('latin1', at + DESCRIPTOR, bytes.indexOf(0, at + DESCRIPTOR));
    const first = data! + bytes.readUInt32LE(at + 8);
    const values = Array.from({ length: bytes.readUInt16LE(at + 6) }, (_, word) => bytes.readBigUInt64LE(first + 8 * word));
    return { name, flags: bytes.readUInt32LE(at), exponent: bytes.readInt16LE(at + 4), values };
  });
}

export const typeOf = ({ flags }: Statistic) => flags & TYPE_BITS;

/** The statistics that metrics can show, with their values. */
export function simple(statistics: readonly Statistic[]): Record<string, bigint> {
  return Object.fromEntries(statistics.filter((one) => typeOf(one) <= Type.peak).map(({ name, values }) => [name, values[0]!]));
}

export function encoded(statistics: readonly Statistic[], id = 'kvm-1/vcpu-0'): Buffer {
  const data = HEADER + NAME + statistics.length * (DESCRIPTOR + NAME);
  const words = statistics.reduce((sum, { values }) => sum + values.length, 0);
  const bytes = Buffer.alloc(data + 8 * words);
  for (const [i, word] of [0, NAME, statistics.length, HEADER, HEADER + NAME, data].entries()) bytes.writeUInt32LE(word, 4 * i);
  bytes.write(id, HEADER, 'latin1');
  let offset = 0;
  for (const [i, { name, flags, exponent, values }] of statistics.entries()) {
    const at = HEADER + NAME + i * (DESCRIPTOR + NAME);
    bytes.writeUInt32LE(flags, at);
    bytes.writeInt16LE(exponent, at + 4);
    bytes.writeUInt16LE(values.length, at + 6);
    bytes.writeUInt32LE(offset, at + 8);
    bytes.write(name, at + DESCRIPTOR, 'latin1');
    for (const [word, value] of values.entries()) bytes.writeBigUInt64LE(value, data + offset + 8 * word);
    offset += 8 * values.length;
  }
  return bytes;
}

export const counter = (name: string, value = 0n): Statistic => ({ name, flags: Type.cumulative, exponent: 0, values: [value] });
export const gauge = (name: string, value = 0n): Statistic => ({ name, flags: Type.instant, exponent: 0, values: [value] });

/** A file that plays a statistics descriptor: a read at an offset works on both alike. */
export class PlayedDescriptor {
  readonly path = join(temporaryFolder(), 'statistics');
  readonly fd: number;
  readonly #names: readonly string[];

  constructor(statistics: readonly Statistic[], id?: string) {
    writeFileSync(this.path, encoded(statistics, id));
    this.fd = openSync(this.path, 'r+');
    this.#names = statistics.map(({ name }) => name);
  }

  /** The offset of a statistic's word. Each statistic has one word. */
  placeOf(name: string): number {
    return HEADER + NAME + this.#names.length * (DESCRIPTOR + NAME) + 8 * this.#names.indexOf(name);
  }

  set(name: string, value: bigint): void {
    const word = Buffer.alloc(8);
    word.writeBigUInt64LE(value);
    writeSync(this.fd, word, 0, 8, this.placeOf(name));
  }
}

// Checks of arguments. Each error names the argument and the value, and is thrown before anything changes.

import { constants } from 'node:os';
import { inspect } from 'node:util';

import { ID_BYTES_MAX } from './region/format.ts';

/** The largest value of a metric, 2^64-1. */
export const VALUE_MAX = 0xffff_ffff_ffff_ffffn;

/** The value for a message: short, on one line, and as the caller would recognise it. */
export function shown(value: unknown): string {
  const text = typeof value === 'bigint' ? `${value}n` : inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY });
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** A metric's value, as a bigint: a safe non-negative integer, or a bigint from 0 to 2^64-1. */
export function checkedValue(name: string, value: unknown): bigint {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`${name} must be a non-negative safe integer, or a bigint for larger values; got ${shown(value)}`);
    }
    return BigInt(value);
  }
  if (typeof value === 'bigint') {
    if (value < 0n || value > VALUE_MAX) throw new RangeError(`${name} must be from 0 to 2^64-1; got ${shown(value)}`);
    return value;
  }
  throw new TypeError(`${name} must be a number or a bigint; got ${shown(value)}`);
}

/** As checkedValue(), but a number with a fraction is rounded to the nearest whole number. */
export function checkedMeasure(name: string, value: unknown): bigint {
  const isFraction = typeof value === 'number' && value >= 0 && value < Number.MAX_SAFE_INTEGER && !Number.isInteger(value);
  return checkedValue(name, isFraction ? Math.round(value) : value);
}

/**
 * Whether the value is an object literal, or an object without a prototype. Literals of other realms count too: a vm
 * context has its own Object.
 */
export function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'isPrototypeOf');
}

/** A plain object. `of` is the end of the message, as in "must be an object of strings". */
export function checkedPlainObject(name: string, value: unknown, of = ''): object {
  if (isPlainObject(value)) return value;
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  throw new TypeError(`${name} must be ${isObject ? 'a plain object' : 'an object'}${of}; got ${shown(value)}`);
}

/**
 * A plain object of options whose names are all known: a misspelled option must not be ignored. The result is a copy,
 * so that each option is read once, and the value that was checked is the value that is used.
 */
export function checkedOptions<T extends object>(where: string, options: unknown, known: readonly (keyof T & string)[]): T {
  if (options === undefined) return {} as T;
  checkedPlainObject(`${where}: options`, options);
  const names = Object.keys(options as object);
  for (const name of names) {
    if (!(known as readonly string[]).includes(name)) {
      throw new TypeError(`${where}: unknown option ${shown(name)}; the options are ${known.map((k) => `'${k}'`).join(', ')}`);
    }
  }
  return Object.fromEntries(names.map((name) => [name, (options as Record<string, unknown>)[name]])) as T;
}

export function checkedBoolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${name} must be true or false; got ${shown(value)}`);
  return value;
}

/** A number from `min` to `max`, which may have a fraction. */
export function checkedNumber(name: string, value: unknown, min: number, max: number): number {
  return checkedRange(name, value, min, max, 'a number');
}

/** An integer from `min` to `max`. */
export function checkedInteger(name: string, value: unknown, min: number, max: number): number {
  return checkedRange(name, value, min, max, 'an integer');
}

function checkedRange(name: string, value: unknown, min: number, max: number, what: 'a number' | 'an integer'): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number; got ${shown(value)}`);
  if (value >= min && value <= max && (what === 'a number' || Number.isInteger(value))) return value;
  throw new RangeError(`${name} must be ${what} from ${min} to ${max}; got ${shown(value)}`);
}

/** One of the texts that are `allowed`. */
export function checkedChoice<T extends string>(name: string, value: unknown, allowed: readonly T[]): T {
  if ((allowed as readonly unknown[]).includes(value)) return value as T;
  const message = mustBeOneOf(name, value, allowed);
  throw typeof value === 'string' ? new RangeError(message) : new TypeError(message);
}

/** The message for a value that is none of `allowed`. */
export function mustBeOneOf(name: string, value: unknown, allowed: readonly unknown[]): string {
  const choices = allowed.map(shown);
  return `${name} must be ${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}; got ${shown(value)}`;
}

/** Text that can be written to JSON and read back unchanged: a string without lone surrogates. */
export function checkedText(name: string, value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string; got ${shown(value)}`);
  if (!value.isWellFormed()) throw new RangeError(`${name} must be valid Unicode, without lone surrogates; got ${shown(value)}`);
  return value;
}

/** The largest `int` of C: descriptors, and the milliseconds of a timer. */
export const INT_MAX = 2 ** 31 - 1;

/** Where lines or rows go: a path, or the number of a descriptor. */
export function checkedDestination(name: string, value: unknown): string | number {
  if (typeof value === 'number') return checkedInteger(`${name}, a descriptor,`, value, 0, INT_MAX);
  if (typeof value !== 'string') throw new TypeError(`${name} must be a path or a descriptor; got ${shown(value)}`);
  return checkedPath(name, value);
}

/** A destination for a message. */
export function shownDestination(destination: string | number): string {
  return typeof destination === 'string' ? shown(destination) : `descriptor ${destination}`;
}

/** A path. */
export function checkedPath(name: string, path: unknown): string {
  return checkedCText(name, path);
}

/** Text as C can hold it: not empty, and without NUL. */
function checkedCText(name: string, value: unknown): string {
  const text = checkedText(name, value);
  if (text === '') throw new RangeError(`${name} must not be empty`);
  if (text.includes('\0')) throw new RangeError(`${name} must not contain NUL; got ${shown(text)}`);
  return text;
}

const utf8 = new TextEncoder();

/** A device id: 1 to 255 bytes of UTF-8, without NUL and lone surrogates. */
export function checkedDeviceId(value: unknown): string {
  const id = checkedCText('device id', value);
  const bytes = utf8.encode(id).length;
  if (bytes > ID_BYTES_MAX)
    throw new RangeError(`device id must be at most ${ID_BYTES_MAX} bytes of UTF-8; got ${bytes} bytes, ${shown(id)}`);
  return id;
}

/** A signal that a process can handle: every signal but SIGKILL and SIGSTOP. */
export type CapturableSignal = Exclude<NodeJS.Signals, 'SIGKILL' | 'SIGSTOP'>;

/** The number of a signal that a process can handle. */
export function checkedSignal(name: string, signal: unknown): number {
  const text = checkedText(name, signal);
  if (!Object.hasOwn(constants.signals, text)) throw new RangeError(`${name}: ${shown(text)} is not the name of a signal`);
  if (text === 'SIGKILL' || text === 'SIGSTOP') throw new RangeError(`${name}: no process can handle ${text}`);
  return constants.signals[text as NodeJS.Signals];
}

// A command of `vmm-metrics`: its arguments, and how it ends.

import { parseArgs } from 'node:util';

import { whatThereIs } from '../unknown-names.ts';
import { plain } from './terminal-text.ts';

export interface Command {
  /** For the list of commands: one line. */
  readonly summary: string;
  /** What `--help` prints. Each option has its lines there, which also describe it to the shells that complete it. */
  readonly help: string;
  readonly options: Options;
  /** What the other arguments are: paths, or some of these words. */
  readonly operands: 'file' | readonly string[];
  /**
   * Returns the exit code: 0, or 1 for a failure that the command has reported. Throws UsageError for wrong arguments,
   * and any other error for a failure that main.ts reports.
   */
  run(args: readonly string[]): Promise<number>;
}

/** Wrong arguments: main.ts prints one line and exits with 2. */
export class UsageError extends Error {}

/** The options of a command, by name. */
export type Options = Readonly<Record<string, Option>>;

export interface Option {
  readonly type: 'boolean' | 'string';
  readonly short?: string;
  /** What the value of the option is, for shells that complete it: a path, or one of these words. */
  readonly value?: 'file' | readonly string[];
}

export interface Parsed<O extends Options> {
  readonly values: { readonly [K in keyof O]?: O[K]['type'] extends 'boolean' ? boolean : string };
  readonly operands: readonly string[];
}

/**
 * Parses the arguments of a command that takes exactly these operands. `--help` never gets here.
 * @throws UsageError for an unknown option, a missing operand or an unexpected one.
 */
export function parsed<const O extends Options>(args: readonly string[], options: O, operands: readonly string[]): Parsed<O> {
  const { values, positionals } = parsedArgs(args, options);
  if (positionals.length < operands.length) throw new UsageError(`${operands[positionals.length]} is missing`);
  if (positionals.length > operands.length) {
    throw new UsageError(`unexpected argument '${positionals[operands.length]}' after ${operands.join(' ')}`);
  }
  return { values: values as Parsed<O>['values'], operands: positionals };
}

/** The same for a command that takes one operand or more, all of one kind. */
export function parsedMany<const O extends Options>(args: readonly string[], options: O, operand: string): Parsed<O> {
  const { values, positionals } = parsedArgs(args, options);
  if (positionals.length === 0) throw new UsageError(`${operand} is missing`);
  return { values: values as Parsed<O>['values'], operands: positionals };
}

function parsedArgs(args: readonly string[], options: Options): { values: object; positionals: string[] } {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    // Node's first sentence says what is wrong; the rest gives hints to programmers.
    const message = (error as Error).message.split(/\.\s/)[0]!;
    const [, unknown] = /^Unknown option '(-.*)'$/s.exec(message) ?? [];
    const names = Object.keys(options).map((name) => `--${name}`);
    throw new UsageError(unknown === undefined ? message : `${message}; ${whatThereIs(unknown, [...names, '--help'])}`, { cause: error });
  }
}

/** Runs a check of an argument; its error becomes a UsageError. */
export function asUsageError<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

/**
 * The number in the value of an option. `check` gets the number. If the text is not a number, `check` gets the text, so
 * that the error shows it.
 */
export function numberOf(text: string, check: (value: unknown) => number): number {
  const value = Number(text);
  return asUsageError(() => check(text.trim() === '' || Number.isNaN(value) ? text : value));
}

/** Prints one line to standard error. */
export function report(text: string): void {
  process.stderr.write(`vmm-metrics: ${plain(text)}\n`);
}

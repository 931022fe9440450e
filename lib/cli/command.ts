// A command of `vmm-metrics`: what it is called with, and how it ends.

import { parseArgs } from 'node:util';

export interface Command {
  /** For the list of commands: one line. */
  readonly summary: string;
  /** What `--help` prints. */
  readonly help: string;
  /**
   * The exit code: 0, or 1 for a failure that was reported already. Throws UsageError for wrong arguments, anything
   * else for a failure.
   */
  run(args: readonly string[]): Promise<number>;
}

/** Wrong arguments: one line, and exit code 2. */
export class UsageError extends Error {}

/** The options of a command, by name. */
export type Options = Readonly<Record<string, { readonly type: 'boolean' | 'string'; readonly short?: string }>>;

export interface Parsed<O extends Options> {
  readonly values: { readonly [K in keyof O]?: O[K]['type'] extends 'boolean' ? boolean : string };
  readonly operands: readonly string[];
}

/**
 * The options and operands of a command. What is unknown, missing or too much is a UsageError; `--help` has been seen
 * to.
 */
export function parsed<const O extends Options>(args: readonly string[], options: O, operands: readonly string[]): Parsed<O> {
  const { values, positionals } = understood(args, options);
  if (positionals.length < operands.length) throw new UsageError(`${operands[positionals.length]} is missing`);
  if (positionals.length > operands.length) throw new UsageError(`'${positionals[operands.length]}' is too much`);
  return { values: values as Parsed<O>['values'], operands: positionals };
}

/** The same for a command that takes one operand or more, all of one sort. */
export function parsedMany<const O extends Options>(args: readonly string[], options: O, operand: string): Parsed<O> {
  const { values, positionals } = understood(args, options);
  if (positionals.length === 0) throw new UsageError(`${operand} is missing`);
  return { values: values as Parsed<O>['values'], operands: positionals };
}

function understood(args: readonly string[], options: Options): { values: object; positionals: string[] } {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    // What follows the first sentence of Node's are hints for programmers.
    throw new UsageError((error as Error).message.split(/\.\s/)[0]!, { cause: error });
  }
}

/** A check of an argument, whose error is a wrong use. */
export function asUsage<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** One line without control characters: names and ids may hold anything, and a terminal obeys. */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (c) => {
    const code = c.codePointAt(0)!;
    return `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

export function report(text: string): void {
  process.stderr.write(`vmm-metrics: ${plain(text)}\n`);
}

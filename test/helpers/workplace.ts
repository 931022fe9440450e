import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { onTestFinished } from 'vitest';
import type { Metrics, SchemaShape } from 'vmm-metrics';

/**
 * A folder that is removed after the test. A store may still flush and make its file again, so removing is repeated.
 */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 }));
  return folder;
}

let names = 0;
/** A store name that no other test of this file uses. */
export function freshName(): string {
  return `test-${names++}`;
}

/** Closes the metrics when the test is over, however it ends. */
export function closing<S extends SchemaShape>(metrics: Metrics<S>): Metrics<S> {
  onTestFinished(() => metrics.close());
  return metrics;
}

/** A parsed line. Its numbers are bigints, because a double rounds from 2^53 on. */
export type Line = Record<string, unknown>;

/** The complete lines of a text, each parsed. Text after the last newline is not a line yet. */
export function linesOf(text: string): Line[] {
  return text.split('\n').slice(0, -1).map(parseLine);
}

export function parseLine(line: string): Line {
  JSON.parse(line); // throws if the line is not JSON
  const marked = line.replace(/"(?:[^"\\]|\\.)*"|-?\d+/g, (token) => (token.startsWith('"') ? token : `"\\u0000${token}"`));
  return JSON.parse(marked, (_key, value) =>
    typeof value === 'string' && /^\0-?\d+$/.test(value) ? BigInt(value.slice(1)) : value,
  ) as Line;
}

export function linesIn(path: string): Line[] {
  return linesOf(readFileSync(path, 'utf8'));
}

/** The value at a path such as `vcpu.exit_io_out_agg.sum_us`. */
export function at(line: Line, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (value as Line)[key], line);
}

/** The sum of the deltas of all lines at a path. */
export const sumOf = (lines: readonly Line[], path: string) => lines.reduce((sum, line) => sum + (at(line, path) as bigint), 0n);

// The rows of the fault matrix. Each row is a group of tests. A table of the passed tests is printed at the end.

import { execFileSync } from 'node:child_process';
import { afterAll, describe, onTestFinished, test } from 'vitest';

import { node } from './children.ts';

interface Tally {
  readonly what: string;
  all: number;
  passed: number;
  readonly skipped: string[];
}

const rows = new Map<number, Tally>();

/** Defines a row: `add` adds a variant, or gives the reason why it cannot be tried here. */
export function row(number: number, what: string, define: (add: AddVariant) => void): void {
  const tally: Tally = { what, all: 0, passed: 0, skipped: [] };
  rows.set(number, tally);
  describe(`row ${number}: ${what}`, () => {
    define((name, check, impossible) => {
      tally.all++;
      if (impossible !== undefined) tally.skipped.push(impossible);
      test.skipIf(impossible !== undefined)(name, async () => {
        onTestFinished(({ task }) => {
          if (task.result?.state === 'pass') tally.passed++;
        });
        await check();
      });
    });
  });
}

export type AddVariant = (name: string, check: () => Promise<void>, impossible?: string) => void;

/** Prints the table after all tests. Call it once, last. */
export function printTable(): void {
  afterAll(() => {
    const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
    const widest = Math.max(...[...rows.values()].map(({ what }) => what.length));
    const table = [...rows].map(([number, { what, all, passed, skipped }]) => {
      const missing = skipped.length === 0 ? '' : `  SKIPPED ${skipped.length}: ${[...new Set(skipped)].join('; ')}`;
      return `${String(number).padStart(3)}  ${what.padEnd(widest)}  ${passed}/${all}${missing}`;
    });
    console.log([`Fault matrix, Node ${version}`, ...table].join('\n'));
  });
}

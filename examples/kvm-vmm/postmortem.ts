// Runs the machine in a child process that dies, then shows the signal and what survived: the last line of its metrics,
// or its region file.

import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { styleText } from 'node:util';

import { readRegion } from 'vmm-metrics';
import { firecrackerX86_64 } from 'vmm-metrics/firecracker';
import { formatTable, rowsOfLine } from './line-table.ts';
import { makeDirectory, metricsFileOf, regionOf } from './machine.ts';
import type { Settings } from './settings.ts';
import { showRegion } from './show.ts';

const EXPECTED = {
  crash: { signal: 'SIGBUS', show: (directory: string, settings: Settings) => showLastLine(metricsFileOf(directory, settings), 'sigbus') },
  overflow: {
    signal: 'SIGSEGV',
    show: (directory: string, settings: Settings) => showLastLine(metricsFileOf(directory, settings), 'sigsegv'),
  },
  kill: { signal: 'SIGKILL', show: (directory: string) => showKilled(regionOf(directory)) },
} as const;
const PATIENCE_MS = 10_000;

/** Returns the exit code: 0 if the expected signal killed the child, and its last line or its region file says so. */
export async function runUntilDeath(settings: Settings, args: readonly string[]): Promise<number> {
  const expected = EXPECTED[settings.death ?? 'crash'];
  const directory = makeDirectory();
  try {
    const death = await deathOf([...args, '--directory', directory]);
    process.stdout.write(
      death.signal === null ? `\nThe process exited with code ${death.code}.\n` : `\nThe process was killed by ${death.signal}.\n`,
    );
    const problem =
      death.signal === expected.signal ? await expected.show(directory, settings) : `${expected.signal} should have killed the process`;
    if (problem === undefined) return 0;
    process.stderr.write(`kvm-vmm: ${problem}\n`);
    return 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Death {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Runs this program again, with core dumps off. Kills it if it has not died after `PATIENCE_MS`. */
async function deathOf(args: readonly string[]): Promise<Death> {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  const command = ['-c', 'ulimit -c 0; exec "$@"', 'sh', process.execPath, main, ...args];
  const child: ChildProcess = spawn('/bin/sh', command, { stdio: 'inherit' });
  const giveUp = () => child.kill('SIGKILL'); // this process goes on and removes the directory
  const timer = setTimeout(giveUp, PATIENCE_MS);
  process.on('SIGINT', giveUp).on('SIGTERM', giveUp);
  try {
    return await new Promise<Death>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) => resolve({ code, signal }));
    });
  } finally {
    clearTimeout(timer);
    process.off('SIGINT', giveUp).off('SIGTERM', giveUp);
  }
}

/** Shows the region file. Returns the problem, if there is one. */
async function showKilled(region: string): Promise<string | undefined> {
  const problem = showRegion(region);
  if (problem !== undefined) return problem;
  const { state } = await readRegion(region);
  return state === 'killed' ? undefined : `the region file reports '${state}' instead of 'killed'`;
}

/** Shows the last line. Returns the problem with the line, if there is one. */
function showLastLine(metricsFile: string, metric: string): string | undefined {
  const text = readFileSync(metricsFile, 'utf8');
  const lines = text.split('\n');
  if (lines.pop() !== '') return 'the last line is incomplete';
  const last = lines.at(-1);
  if (last === undefined) return 'there is no line in the metrics file';
  let values: { readonly signals?: Record<string, unknown>; readonly [key: string]: unknown };
  try {
    values = JSON.parse(last);
  } catch (error) {
    return `the last line does not parse: ${(error as Error).message}`;
  }
  const table = formatTable(rowsOfLine(firecrackerX86_64, values), (row, rowText) =>
    row.group === 'signals' && row.name === metric ? highlighted(rowText) : rowText,
  );
  process.stdout.write(
    `Its last line is complete: line ${lines.length}, ${last.length} characters. Counters and sums cover the time since the line before;\n` +
      `min and max cover the whole run.\n\n${table}\n`,
  );
  return values.signals?.[metric] === 1 ? undefined : `signals.${metric} is not set in the last line`;
}

function highlighted(text: string): string {
  return process.stdout.isTTY ? styleText(['red', 'bold'], `${text}  <--`) : `${text}  <--`;
}

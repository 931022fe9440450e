// Runs the machine in a child that is to die, and shows what is left: the signal, and the last line of its metrics or
// its region file.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { styleText } from 'node:util';

import { firecracker } from 'vmm-metrics/firecracker';

import { makeDirectory, metricsFileOf, regionOf } from './machine.ts';
import type { Settings } from './settings.ts';
import { formatTable, rowsOfLine } from './table.ts';

const EXPECTED = {
  crash: { signal: 'SIGBUS', show: (directory: string, settings: Settings) => showLastLine(metricsFileOf(directory, settings), 'sigbus') },
  overflow: {
    signal: 'SIGSEGV',
    show: (directory: string, settings: Settings) => showLastLine(metricsFileOf(directory, settings), 'sigsegv'),
  },
  kill: { signal: 'SIGKILL', show: (directory: string) => showRegion(regionOf(directory)) },
} as const;
const PATIENCE_MS = 10_000;

/** Returns the exit code: 0 when the child died by the expected signal, and its last line is whole and says so. */
export async function runUntilDeath(settings: Settings, args: readonly string[]): Promise<number> {
  const expected = EXPECTED[settings.death ?? 'crash'];
  const directory = makeDirectory();
  try {
    const death = await deathOf([...args, '--directory', directory]);
    process.stdout.write(`\nthe process died by ${death.signal ?? `nothing: it exited with ${death.code}`}\n`);
    const problem = death.signal === expected.signal ? expected.show(directory, settings) : `it was to die by ${expected.signal}`;
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

/** This program once more, with core dumps off. One that does not die in time is killed. */
async function deathOf(args: readonly string[]): Promise<Death> {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  const command = ['-c', 'ulimit -c 0; exec "$@"', 'sh', process.execPath, main, ...args];
  const child: ChildProcess = spawn('/bin/sh', command, { stdio: 'inherit' });
  const giveUp = () => child.kill('SIGKILL'); // this process stays, to clean up
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

/** Shows what the region file has, by the command that anybody would use. Returns what is wrong with it. */
function showRegion(region: string): string | undefined {
  process.stdout.write(`\n$ vmm-metrics show ${region}\n`);
  const command = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, 'show', region], { encoding: 'utf8' });
  process.stdout.write(stdout);
  if (status !== 0) return `vmm-metrics failed: ${stderr.trim()}`;
  return /\bkilled\b/.test(stdout) ? undefined : 'it does not say that the process was killed';
}

/** Shows the last line. Returns what is wrong with it. */
function showLastLine(metricsFile: string, metric: string): string | undefined {
  const text = readFileSync(metricsFile, 'utf8');
  const lines = text.split('\n');
  if (lines.pop() !== '') return 'the last line was cut short';
  const last = lines.at(-1);
  if (last === undefined) return 'there is no line';
  let values: { readonly signals?: Record<string, unknown>; readonly [key: string]: unknown };
  try {
    values = JSON.parse(last);
  } catch (error) {
    return `the last line does not parse: ${(error as Error).message}`;
  }
  const table = formatTable(rowsOfLine(firecracker, values), (row, rowText) =>
    row.group === 'signals' && row.name === metric ? highlighted(rowText) : rowText,
  );
  process.stdout.write(
    `its last line, number ${lines.length} with ${last.length} characters, has (sums since the line before, min and max since the start)\n\n${table}\n`,
  );
  return values.signals?.[metric] === 1 ? undefined : `signals.${metric} is not set in the last line`;
}

function highlighted(text: string): string {
  return process.stdout.isTTY ? styleText(['red', 'bold'], `${text}  <--`) : `${text}  <--`;
}

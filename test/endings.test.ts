// How a process ended, as its region records it: by close(), with an exit code, by a panic, by a signal, or without a
// record.

import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { type RegionReading, readRegion } from 'vmm-metrics';

import { runChild } from './helpers/children.ts';
import { program } from './helpers/command.ts';
import { temporaryFolder } from './helpers/workplace.ts';

interface Plan {
  readonly how: string;
  readonly where?: 'main' | 'worker' | 'terminated';
  readonly panics?: boolean;
  /** Whether the main thread has opened the store too. */
  readonly stays?: boolean;
}

async function ended(plan: Plan): Promise<{ death: Awaited<ReturnType<typeof runChild>>; file: string; reading: RegionReading }> {
  const file = `${temporaryFolder()}/r`;
  const death = await runChild('ending.mjs', [JSON.stringify({ file, ...plan })]);
  return { death, file, reading: await readRegion(file) };
}

const said = (file: string, ...options: string[]) =>
  execFileSync(process.execPath, [program, 'show', file, ...options], { encoding: 'utf8' });

const exited = (exitCode: number) => ({ state: 'exited', exitCode, shown: `exited with code ${exitCode}` });
const panicked = (exitCode: number) => ({ state: 'panicked', exitCode, shown: `panicked (exit code ${exitCode})` });

/** On C libraries other than glibc, native exit handlers do not learn the exit code. */
const isGlibc = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header.glibcVersionRuntime !== undefined;

describe.each([true, false])('given a main thread, with panics captured: %s', (panics) => {
  test.each([
    { how: 'end', code: 0, ending: exited(0) },
    { how: 'exit code', code: 3, ending: exited(3) },
    { how: 'late exit code', code: 4, ending: exited(4) },
    { how: 'exit', code: 5, ending: exited(5) },
    { how: 'exit in a listener', code: 6, ending: exited(6) },
    { how: 'reallyExit', code: 7, ending: exited(7) },
    { how: 'native exit', code: 8, ending: exited(8) },
    { how: 'throw', code: 1, ending: panicked(1) },
    { how: 'throw later', code: 1, ending: panicked(1) },
    { how: 'reject', code: 1, ending: panicked(1) },
    { how: 'exit code of a panic', code: 11, ending: panicked(11) },
    { how: 'handled by a listener', code: 9, ending: exited(9) },
    { how: 'handled, and it goes on', code: 10, ending: exited(10) },
    { how: 'close', code: 0, ending: { state: 'closed', shown: 'was closed' } },
    { how: 'close after a panic', code: 1, ending: { state: 'closed', shown: 'was closed' } },
    { how: 'kill', code: null, ending: { state: 'killed', shown: 'was killed' } },
    { how: 'segv', code: null, ending: { state: 'crashed', shown: 'crashed by SIGSEGV' } },
  ])('when it ends by $how, then the region shows $ending.shown', async ({ how, code, ending }) => {
    const { death, file, reading } = await ended({ how, panics });
    expect(death.code, death.stderr).toBe(code);
    expect(reading.state).toBe(ending.state);
    expect('exitCode' in reading).toBe('exitCode' in ending);
    if ('exitCode' in ending && (isGlibc || !/native|really|late/.test(how))) expect(reading.exitCode).toBe(ending.exitCode);
    expect(said(file).replaceAll('\n', ' ')).toContain(`, ${ending.shown}`);
    const json = JSON.parse(said(file, '--json')) as Record<string, unknown>;
    expect(json).toMatchObject({ state: ending.state, ...('exitCode' in ending && { exitCode: ending.exitCode }) });
  });
});

describe('given a worker that alone has opened the store', () => {
  test.each([
    { how: 'end', ending: exited(0) },
    { how: 'exit code', ending: exited(3) },
    { how: 'exit', ending: exited(5) },
    { how: 'throw', ending: panicked(1) },
    { how: 'reject', ending: panicked(1) },
    { how: 'close', ending: { state: 'closed' } },
  ])('when it ends by $how and the process goes on, then the region shows the end of the worker: $ending.state', async ({
    how,
    ending,
  }) => {
    for (const panics of [true, false]) {
      const { death, reading } = await ended({ how, where: 'worker', panics });
      expect(death.code, death.stderr).toBe(2);
      const { state, exitCode } = reading;
      expect({ state, ...(exitCode !== undefined && { exitCode }) }).toEqual({
        state: ending.state,
        ...('exitCode' in ending && { exitCode: ending.exitCode }),
      });
    }
  });

  test('when the process ends while the worker runs, then the region has the exit code of the process', async () => {
    const { death, reading } = await ended({ how: 'end', where: 'terminated' });
    expect(death.code).toBe(12);
    expect(reading.state).toBe('exited');
    if (isGlibc) expect(reading.exitCode).toBe(12);
  });
});

describe('given a worker and a main thread that have both opened the store', () => {
  test.each([
    'throw',
    'exit',
    'reject',
    'close',
  ])('when the worker ends by %s and the process goes on, then the region shows the end of the process', async (how) => {
    const { death, reading } = await ended({ how, where: 'worker', stays: true });
    expect(death.code, death.stderr).toBe(2);
    expect(reading).toMatchObject({ state: 'exited', exitCode: 2 });
  });
});

test('given many stores with files in a thread, when they are opened, then Node warns of no listener leak, and all regions show how the process ended', async () => {
  const folder = temporaryFolder();
  const { stderr } = await runChild('endings-of-many.mjs', [folder]);
  expect(stderr).not.toContain('Warning');
  for (let i = 0; i < 15; i++) expect(await readRegion(`${folder}/r${i}`)).toMatchObject({ state: 'panicked', exitCode: 1 });
});

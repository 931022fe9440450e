// The demo as a tour: what each variant shows, which one comes next, and --tour, which runs them all.

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { Settings } from './settings.ts';

const STOPS = [
  { option: '', shows: 'what a running machine counts' },
  { option: '--crash', shows: 'a SIGBUS on the vCPU thread, and the last line' },
  { option: '--overflow', shows: 'a stack overflow on the vCPU thread, and the last line' },
  { option: '--kill', shows: 'SIGKILL, which leaves no last line, and the region file' },
  { option: '--profile', shows: 'the machine sampled every millisecond, and a page of the samples' },
] as const;
const STOP_SECONDS = '2';

/** What to try after the variant that these settings chose: the end of the variant's output. */
export function nextStop(settings: Settings): string {
  const option = settings.profile ? '--profile' : settings.death === undefined ? '' : `--${settings.death}`;
  const next = STOPS[STOPS.findIndex((stop) => stop.option === option) + 1];
  return next === undefined
    ? '\nThat was the last variant. Next, read docs/guides/vmm-author.md.\n'
    : `\nNext, try: npm run demo -- ${next.option}${settings.simulate ? ' --simulate' : ''}\nIt shows ${next.shows}.\n`;
}

/**
 * Runs every variant in a process of its own, for two seconds or as the other arguments of this command line say. On
 * a terminal, waits for the Enter key before the next variant, unless `--yes` was given. Ctrl-C, SIGTERM or the end
 * of the input ends the tour. So does a variant that fails. Returns the exit code: 0, or that of the variant that
 * failed.
 */
export async function runTour(settings: Settings, args: readonly string[]): Promise<number> {
  const others = ['--seconds', STOP_SECONDS, ...args.filter((arg) => arg !== '--tour' && arg !== '--yes')];
  const isPausing = process.stdin.isTTY && !settings.yes;
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  for (const [index, { option, shows }] of STOPS.entries()) {
    if (index > 0 && isPausing && !(await isEnterPressed(stop.signal))) return 0;
    const command = ['npm run demo', ...(option === '' ? [] : ['--', option])].join(' ');
    process.stdout.write(`${index === 0 ? '' : '\n'}== ${index + 1} of ${STOPS.length}: ${shows} (${command})\n\n`);
    const code = await run(option === '' ? others : [option, ...others], stop.signal);
    if (code !== 0 || stop.signal.aborted) return code;
  }
  return 0;
}

/** Runs this program again, and returns its exit code. */
function run(args: readonly string[], stop: AbortSignal): Promise<number> {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
  const end = () => child.kill('SIGTERM'); // the machine ends in the normal way
  stop.addEventListener('abort', end);
  return new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  }).finally(() => stop.removeEventListener('abort', end));
}

/** Waits for the Enter key. Returns false if the tour was stopped instead. */
function isEnterPressed(stop: AbortSignal): Promise<boolean> {
  process.stdout.write('\nPress Enter to go on, or Ctrl-C to stop. ');
  return new Promise((resolve) => {
    const settle = (isEnter: boolean) => {
      process.stdin.off('data', pressed).off('end', ended).pause();
      stop.removeEventListener('abort', ended);
      if (!isEnter) process.stdout.write('\n');
      resolve(isEnter);
    };
    const pressed = () => settle(true);
    const ended = () => settle(false);
    process.stdin.on('data', pressed).on('end', ended).resume();
    stop.addEventListener('abort', ended);
  });
}

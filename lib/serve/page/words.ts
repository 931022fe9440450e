// Times, numbers and deaths as people read them. Pure.

import type { Crash, Vm } from './vms.ts';

/** A whole number with a comma between groups of three digits. */
export function digits(value: number | bigint): string {
  return `${value}`.replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A number in at most five characters: `0`, `7.3`, `42`, `1.2 k`, `3.4 M`. */
export function short(value: number): string {
  if (!(Math.abs(value) >= 0.05)) return '0';
  const scales: readonly [number, string][] = [
    [1e12, ' T'],
    [1e9, ' G'],
    [1e6, ' M'],
    [1e3, ' k'],
  ];
  const [size, suffix] = scales.find(([size]) => Math.abs(value) >= 0.9995 * size) ?? [1, ''];
  const scaled = value / size;
  return `${scaled < 9.95 && !(suffix === '' && Number.isInteger(scaled)) ? scaled.toFixed(1) : Math.round(scaled)}${suffix}`;
}

/** A value in its unit, and a duration in the unit that suits it: `41 µs`, `1.2 ms`, `3.4 k bytes`. */
export function quantity(value: number, unit: string): string {
  const perSecond = { ns: 1e9, us: 1e6, ms: 1e3 }[unit];
  if (perSecond === undefined || value === 0) return `${short(value)}${unitName(unit) && ` ${unitName(unit)}`}`;
  const scales: readonly [number, string][] = [
    [1, 's'],
    [1e3, 'ms'],
    [1e6, 'µs'],
  ];
  const [scale, name] = scales.find(([each]) => (value / perSecond) * each >= 0.9995) ?? [1e9, 'ns'];
  return `${short((value / perSecond) * scale)} ${name}`;
}

/** The name of a unit; empty for a plain count. */
export function unitName(unit: string): string {
  if (unit === 'us') return 'µs';
  return unit === 'count' ? '' : unit;
}

/** A time span in its largest unit: `3 s`, `12 min`, `4 h`, `3 d`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** What became of a process: `up 3 h`, `SIGSEGV at 0x10`, `exit code 1`. */
export function fate({ state, startedAtMs, exitCode, crash, error }: Vm, nowMs: number): string {
  if (error !== null) return error;
  switch (state) {
    case 'running':
      return startedAtMs === null ? '' : `up ${span(nowMs - startedAtMs)}`;
    case 'crashed':
      return crash === null ? '' : crashText(crash);
    case 'killed':
      return 'no handler ran (SIGKILL)';
    case 'panicked':
      return `uncaught error, exit code ${exitCode ?? '?'}`;
    case 'exited':
      return `exit code ${exitCode ?? '?'}, without close()`;
    case 'closed':
      return 'closed by its process';
    default:
      return '';
  }
}

/** The address is that of a fault only if the kernel sent the signal. */
export function crashText({ signal, code, address }: Crash): string {
  return code > 0 ? `${signal} at ${address}` : `${signal}, raised by a process`;
}

/** A path as one word of a shell. */
export function shellWord(path: string): string {
  return /^[\w./@%+=:,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/** Which region files the table does not show; empty if there are none. `unreadableShown` files are shown. */
export function notShown(files: Readonly<Record<string, number>>, unreadableShown: number): string {
  const { duplicate = 0, forgotten = 0, unreadable = 0 } = files;
  const parts: readonly [number, string][] = [
    [duplicate, 'with the name of another'],
    [forgotten, 'dead for too long'],
    [unreadable - unreadableShown, 'that cannot be read'],
  ];
  const texts = parts.filter(([count]) => count > 0).map(([count, what]) => `${digits(count)} ${what}`);
  return texts.length === 0 ? '' : `Region files not shown: ${texts.join(', ')}`;
}

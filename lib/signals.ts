// Signals by name: what captureSignals() takes, and who takes a captured signal's place afterwards.

import { constants } from 'node:os';
import { isMainThread } from 'node:worker_threads';

import { type CapturableSignal, checkedChoice, checkedInteger, checkedOptions, checkedSignal, shown } from './arguments.ts';

export interface CaptureSignalsOptions {
  /**
   * Which signals. Default: those that the schema marks, and SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP,
   * SIGTERM, SIGINT and SIGHUP.
   */
  readonly signals?: readonly CapturableSignal[] | undefined;
  /**
   * What to do with a signal that the process ignores: count it (default), or leave it alone. Ignored it stays either
   * way.
   */
  readonly ignored?: 'count' | 'leave' | undefined;
  /**
   * How long a dying process may wait for its sinks, in milliseconds, 0 to 10,000. Default: 500. Process-wide; the last
   * call's holds.
   */
  readonly limitMs?: number | undefined;
}

const MAX_LIMIT_MS = 10_000;

/** The options as native code takes them. */
export function checkedCaptureOptions(options: unknown): { signals: Uint32Array; leaveIgnored: boolean; limitMs: number } {
  const where = 'captureSignals()';
  const given = checkedOptions<CaptureSignalsOptions>(where, options, ['signals', 'ignored', 'limitMs']);
  const { signals = [], ignored = 'count', limitMs = 500 } = given;
  if (!Array.isArray(signals)) throw new TypeError(`${where}: signals must be a list of names; got ${shown(signals)}`);
  if (given.signals !== undefined && signals.length === 0) throw new RangeError(`${where}: signals must not be empty`);
  const numbers = signals.map((signal) => checkedSignal(`${where}: signals`, signal));
  return {
    signals: Uint32Array.from(numbers),
    leaveIgnored: checkedChoice(`${where}: ignored`, ignored, ['count', 'leave']) === 'leave',
    limitMs: checkedInteger(`${where}: limitMs`, limitMs, 0, MAX_LIMIT_MS),
  };
}

/** A store whose signals are captured, as far as listeners of Node concern it. */
export interface CapturedSignals {
  /** The captured signals whose place somebody else's handler has; each is counted as trouble. */
  displaced(): readonly number[];
  /** Takes the place of that signal again, above the handler that is there now. */
  retake(signal: number): void;
}

/**
 * The stores of this thread whose signals are captured. One listener serves them all: Node takes more than ten for a
 * leak.
 */
const captured = new Set<CapturedSignals>();
/** Signals whose listeners changed since the last turn of the loop. */
const changed = new Set<NodeJS.Signals>();
/** Signals that a warning named already, while anything is captured. */
const warned = new Set<NodeJS.Signals>();
let checking: NodeJS.Immediate | undefined;

/**
 * When `process.on(<signal>)`, or its end, puts Node's own handler in the place of a captured signal's, takes the place
 * again: the signal is counted, and handed on to the listener. Warns once a signal where that fails. `signals` is never
 * used after the returned function, which ends it.
 */
export function watchDisplacement(signals: CapturedSignals): () => void {
  if (!isMainThread) return () => {}; // process.on(<signal>) is the main thread's
  // Asked of Node each time: a host may have called removeAllListeners().
  if (!process.listeners('newListener' as never).includes(noteChange as never)) process.on('newListener', noteChange);
  if (!process.listeners('removeListener' as never).includes(noteChange as never)) process.on('removeListener', noteChange);
  captured.add(signals);
  return () => {
    if (!captured.delete(signals) || captured.size > 0) return;
    process.off('newListener', noteChange).off('removeListener', noteChange);
    clearImmediate(checking);
    checking = undefined;
    changed.clear();
    warned.clear();
  };
}

function noteChange(event: string | symbol): void {
  if (typeof event !== 'string' || !Object.hasOwn(constants.signals, event)) return;
  // Node's own listener of this event came first, and has put its handler in place. At once: a flush in between would
  // count trouble.
  for (const signals of captured) signals.retake(constants.signals[event as NodeJS.Signals]);
  changed.add(event as NodeJS.Signals);
  // Whoever put a handler in place later is met here.
  checking ??= setImmediate(checkPlaces).unref();
}

function checkPlaces(): void {
  checking = undefined;
  for (const signals of captured) for (const name of changed) signals.retake(constants.signals[name]);
  // Each store is asked: each counts what happened to it.
  const numbers = new Set([...captured].flatMap((signals) => signals.displaced()));
  const names = [...changed].filter((signal) => numbers.has(constants.signals[signal]) && !warned.has(signal));
  changed.clear();
  for (const signal of names) {
    warned.add(signal);
    process.emitWarning(
      `${signal} is no longer counted by the metrics: a listener for '${signal}' took its place, and it could not be taken back. Call captureSignals() again to have both.`,
      { type: 'MetricsWarning', code: 'METRICS_SIGNAL_DISPLACED' },
    );
  }
}

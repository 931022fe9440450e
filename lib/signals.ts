// Signals by name: what captureSignals() takes, and who takes a captured signal's place afterwards.

import { constants } from 'node:os';
import { isMainThread } from 'node:worker_threads';

import { type CapturableSignal, checkedOptions, checkedSignal, shown } from './arguments.ts';

export interface CaptureSignalsOptions {
  /**
   * Which signals. Default: those that the schema marks, and SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP, SIGTERM, SIGINT
   * and SIGHUP.
   */
  readonly signals?: readonly CapturableSignal[];
  /** What to do with a signal that the process ignores: count it (default), or leave it alone. Ignored it stays either way. */
  readonly ignored?: 'count' | 'leave';
  /** How long a dying process may wait for its sinks, in milliseconds, 0 to 10,000. Default: 500. Process-wide; the last call's holds. */
  readonly limitMs?: number;
}

/** The options as native code takes them. */
export function checkedCaptureOptions(options: unknown): { signals: Uint32Array; leaveIgnored: boolean; limitMs: number } {
  const where = 'captureSignals()';
  const given = checkedOptions<CaptureSignalsOptions>(where, options, ['signals', 'ignored', 'limitMs']);
  const { signals = [], ignored = 'count', limitMs = 500 } = given;
  if (!Array.isArray(signals)) throw new TypeError(`${where}: signals must be a list of names; got ${shown(signals)}`);
  if (given.signals !== undefined && signals.length === 0) throw new RangeError(`${where}: signals must not be empty`);
  const numbers = signals.map((signal) => checkedSignal(`${where}: signals`, signal));
  if (ignored !== 'count' && ignored !== 'leave')
    throw new RangeError(`${where}: ignored must be 'count' or 'leave'; got ${shown(ignored)}`);
  if (typeof limitMs !== 'number') throw new TypeError(`${where}: limitMs must be a number; got ${shown(limitMs)}`);
  if (!Number.isInteger(limitMs) || limitMs < 0 || limitMs > 10_000) {
    throw new RangeError(`${where}: limitMs must be an integer from 0 to 10000; got ${shown(limitMs)}`);
  }
  return { signals: Uint32Array.from(numbers), leaveIgnored: ignored === 'leave', limitMs };
}

/**
 * Warns when `process.on(<signal>)`, or its end, takes the place of a captured signal's handler: without a word it would no longer be
 * counted. Returns what ends it.
 */
export function watchDisplacement(displaced: () => readonly number[]): () => void {
  if (!isMainThread) return () => {}; // process.on(<signal>) is the main thread's
  const warned = new Set<number>();
  const check = (event: string | symbol) => {
    if (typeof event !== 'string' || !Object.hasOwn(constants.signals, event)) return;
    // The handler is put in place after the listener is added.
    setImmediate(() => {
      const number = constants.signals[event as NodeJS.Signals];
      if (!displaced().includes(number) || warned.has(number)) return;
      warned.add(number);
      process.emitWarning(
        `${event} is no longer counted by the metrics: process.on('${event}') has taken its place. Call captureSignals() again to have both.`,
        {
          type: 'MetricsWarning',
          code: 'METRICS_SIGNAL_DISPLACED',
        },
      );
    }).unref();
  };
  process.on('newListener', check).on('removeListener', check);
  return () => void process.off('newListener', check).off('removeListener', check);
}

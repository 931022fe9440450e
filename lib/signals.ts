// Captured signals: the options of captureSignals(), and what happens when Node's handler replaces ours.

import { constants } from 'node:os';

import { type CapturableSignal, checkedChoice, checkedInteger, checkedOptions, checkedSignal, shown } from './arguments.ts';
import { isMainThread } from './main-thread.ts';

/** The options of `captureSignals()`. */
export interface CaptureSignalsOptions {
  /**
   * The signals to capture. Default: the signals that the schema marks with `onSignal`, and SIGSEGV, SIGBUS, SIGILL,
   * SIGFPE, SIGABRT, SIGSYS, SIGTRAP, SIGTERM, SIGINT and SIGHUP.
   */
  readonly signals?: readonly CapturableSignal[] | undefined;
  /**
   * Whether a signal that the process ignores is counted, or left alone. The process goes on ignoring it either way.
   * Default: `'count'`.
   */
  readonly ignored?: 'count' | 'leave' | undefined;
  /**
   * How long a dying process may wait for its sinks, in milliseconds, from 0 to 10,000. It holds for all stores of the
   * process; a later call changes it. Default: 500.
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

/** A store whose signals are captured, as this file needs it. */
export interface CapturedSignals {
  /** The captured signals whose handler has been replaced. The store counts each of them as trouble, once. */
  displaced(): readonly number[];
  /** Installs our handler for that signal again, above the handler that is there now. */
  retake(signal: number): void;
}

/**
 * The stores of this thread whose signals are captured. They share one listener, because Node warns about more than
 * ten.
 */
const captured = new Set<CapturedSignals>();
/** The signals whose listeners have changed since the last turn of the event loop. */
const changed = new Set<NodeJS.Signals>();
/** The signals that a warning has named; forgotten when no store is captured any more. */
const warned = new Set<NodeJS.Signals>();
let checking: NodeJS.Immediate | undefined;

/**
 * `process.on(<signal>)`, or the removal of a listener, can make Node replace our handler of a captured signal. Then
 * our handler is installed above Node's, so the signal is counted and then passed on to the listener. If that fails,
 * there is one warning per signal. Returns a function that ends this: `signals` is never used afterwards.
 */
export function watchDisplacement(signals: CapturedSignals): () => void {
  if (!isMainThread()) return () => {}; // only the main thread can listen for signals
  // Node is asked each time, because the host may have called removeAllListeners().
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
  // Node's own listener of this event ran first, and has installed Node's handler. A flush before ours is back would
  // count trouble, so put ours back at once.
  for (const signals of captured) signals.retake(constants.signals[event as NodeJS.Signals]);
  changed.add(event as NodeJS.Signals);
  // A handler that is installed later in this turn of the event loop is found here.
  checking ??= setImmediate(checkPlaces).unref();
}

function checkPlaces(): void {
  checking = undefined;
  for (const signals of captured) for (const name of changed) signals.retake(constants.signals[name]);
  // Every store is asked, because each store counts its own trouble.
  const numbers = new Set([...captured].flatMap((signals) => signals.displaced()));
  const names = [...changed].filter((signal) => numbers.has(constants.signals[signal]) && !warned.has(signal));
  changed.clear();
  for (const signal of names) {
    warned.add(signal);
    process.emitWarning(
      `${signal} is no longer captured: a listener for '${signal}' replaced the handler of vmm-metrics, which could not be installed again. Call captureSignals() again to have both.`,
      { type: 'MetricsWarning', code: 'METRICS_SIGNAL_DISPLACED' },
    );
  }
}

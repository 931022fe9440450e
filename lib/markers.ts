// The markers of metrics: events that raise them without a call. Pure.

import { constants } from 'node:os';

import { type CapturableSignal, checkedBoolean, checkedSignal } from './arguments.ts';
import { schemaError } from './errors.ts';

/**
 * Events that raise a metric without a call. An inc metric goes up by 1. A store metric is set to 1 by `onSignal` and
 * `onPanic`, and goes up by 1 at the other events. A schema gives each marker to at most one metric, and `onSignal` to
 * at most one metric per signal.
 */
export interface EventMarkers {
  /** Raised when this signal comes and is captured, see `captureSignals()`. */
  readonly onSignal?: CapturableSignal | undefined;
  /** Raised when an uncaught exception or unhandled rejection is about to end a thread, see `capturePanics()`. */
  readonly onPanic?: boolean | undefined;
  /** Raised by each flush that does not get its whole line out. */
  readonly onMissedFlush?: boolean | undefined;
  /** Raised by other trouble of the store: lost memory, a signal handler that was replaced, a dropped region file. */
  readonly onError?: boolean | undefined;
}

export const EVENT_MARKERS = ['onSignal', 'onPanic', 'onMissedFlush', 'onError'] as const;

export function checkedMarkers(where: string, o: EventMarkers): EventMarkers {
  if (o.onSignal !== undefined) {
    checkedSignal(`${where}: onSignal`, o.onSignal);
  }
  const given: { -readonly [M in keyof EventMarkers]: EventMarkers[M] } = {};
  if (o.onSignal !== undefined) given.onSignal = o.onSignal;
  for (const marker of ['onPanic', 'onMissedFlush', 'onError'] as const) {
    const value = o[marker];
    if (value !== undefined && checkedBoolean(`${where}: ${marker}`, value)) given[marker] = true;
  }
  return given;
}

/** The marker of a metric, as messages name it. */
export function markersOf(metric: EventMarkers & { readonly startTime?: 'wall' | 'cpu' | undefined }): string[] {
  const events = EVENT_MARKERS.filter((m) => metric[m]).map((m) => (m === 'onSignal' ? `onSignal: ${signalName(metric.onSignal)}` : m));
  return metric.startTime === undefined ? events : [...events, `startTime: ${metric.startTime}`];
}

/** Which part of a schema has which marker. */
export class MarkerHolders {
  readonly #holders = new Map<string, string>();

  /** @throws MetricsError `ERR_METRICS_SCHEMA` when another part has it. */
  claim(marker: string, path: string): void {
    const holder = this.#holders.get(marker);
    if (holder !== undefined) throw schemaError(path, `${marker} is given twice, the first time to ${holder}`);
    this.#holders.set(marker, path);
  }
}

/** One name for each signal: some signals have two. */
function signalName(signal: CapturableSignal | undefined): string {
  const number = constants.signals[signal!];
  return Object.entries(constants.signals).find(([, n]) => n === number)![0];
}

// What a programmer may have forgotten, or not know: warnings, each given once a process, that say what to do. Nothing
// else changes.

import type { Binding, OpenStore } from './binding.ts';

type Native = Pick<Binding, 'isFirst'>;

/** Of the store that was opened. */
interface Opening {
  readonly name: string;
  readonly fingerprint: bigint;
  /** The file of the addon that opened it. */
  readonly addon: string;
}

/**
 * Warns when another copy of this package has stores in this process, and when the schema had a store under another
 * name already. `all` were open before.
 */
export function hintAtOtherStores(native: Native, all: readonly OpenStore[], opening: Opening): void {
  const theirs =
    all.find(({ addon, name }) => addon !== undefined && name === opening.name) ?? all.find(({ addon }) => addon !== undefined);
  if (theirs !== undefined) hintAtCopies(native, opening, theirs);
  const ours = all.filter(({ addon }) => addon === undefined);
  if (ours.every(({ name }) => name !== opening.name)) hintAtSecondStore(native, opening, ours);
}

function hintAtCopies(native: Native, { name, addon }: Opening, theirs: OpenStore): void {
  const isSameName = theirs.name === name;
  const names = isSameName ? `: '${name}' names two stores, one of each copy, which do not know one another` : '';
  warn(
    native,
    'METRICS_TWO_COPIES',
    isSameName ? name : '',
    `This process has two copies of vmm-metrics, ${theirs.addon} and ${addon}${names}. Metrics of one copy are not those of the other. ` +
      'Install one copy for all (npm ls vmm-metrics shows them), or mark the package as external in each bundle.',
  );
}

/**
 * Several named stores of one schema are nothing odd; one without a name beside a named one may be a name that was
 * forgotten.
 */
function hintAtSecondStore(native: Native, { name, fingerprint }: Opening, ours: readonly OpenStore[]): void {
  const alike = ours.filter((one) => one.fingerprint === fingerprint);
  const other = name === 'default' ? alike[0] : alike.find((one) => one.name === 'default');
  if (other === undefined) return;
  const forgotten = name === 'default' ? `this Metrics.open() lacks { name: '${other.name}' }` : `an earlier one lacks { name: '${name}' }`;
  warn(
    native,
    'METRICS_SECOND_STORE',
    `${name}\n${other.name}`,
    `The metrics '${name}' are a second store of the schema that the metrics '${other.name}' of this process have: neither counts what the ` +
      `other does. Threads share a store by its name; perhaps ${forgotten}.`,
  );
}

/** Watches for a periodic flush that never has a sink. The timer keeps no process alive. */
export class SinkHint {
  readonly #native: Native;
  readonly #name: string;
  readonly #hasSink: () => boolean;
  #timer: NodeJS.Timeout | undefined;

  constructor(native: Native, name: string, hasSink: () => boolean) {
    this.#native = native;
    this.#name = name;
    this.#hasSink = hasSink;
  }

  /** Looks again after an interval of flushes, and warns when there is no sink then. */
  after(intervalMs: number): void {
    this.stop();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#hasSink()) return;
      warn(
        this.#native,
        'METRICS_NO_SINK',
        this.#name,
        `startPeriodicFlush() of the metrics '${this.#name}' has run for an interval of ${intervalMs} ms, and no line came out: nobody has called ` +
          'init(). Call metrics.init(path or descriptor) to say where lines go.',
      );
    }, intervalMs);
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

function warn(native: Native, code: string, about: string, message: string): void {
  if (native.isFirst(`${code}\n${about}`)) process.emitWarning(message, { type: 'MetricsWarning', code });
}

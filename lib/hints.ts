// Warnings about likely mistakes of a programmer. Each warning appears once per process and says what to do; nothing
// else changes.

import type { Binding, OpenStore } from './binding.ts';

type Native = Pick<Binding, 'isFirst'>;

/** The store that was opened. */
interface Opening {
  readonly name: string;
  readonly fingerprint: bigint;
  /** The file of the addon that opened it. */
  readonly addon: string;
}

/**
 * Warns when another copy of this package has stores in this process, and when the schema already had a store under
 * another name. `all` are the stores that were open before.
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
  const names = isSameName ? ` Each copy has a store '${name}', and neither counts what the other counts.` : '';
  warn(
    native,
    'METRICS_TWO_COPIES',
    isSameName ? name : '',
    `This process has two copies of vmm-metrics, ${theirs.addon} and ${addon}. Each copy has stores of its own.${names} ` +
      'Install one copy for all (npm ls vmm-metrics shows them), or mark the package as external in each bundle.',
  );
}

/**
 * Several named stores of one schema are fine. A store with the default name beside a named store may be a mistake: a
 * forgotten name.
 */
function hintAtSecondStore(native: Native, { name, fingerprint }: Opening, ours: readonly OpenStore[]): void {
  const alike = ours.filter((one) => one.fingerprint === fingerprint);
  const other = name === 'default' ? alike[0] : alike.find((one) => one.name === 'default');
  if (other === undefined) return;
  const forgotten =
    name === 'default' ? `this Metrics.open() lacks { name: '${other.name}' }` : `an earlier call lacks { name: '${name}' }`;
  warn(
    native,
    'METRICS_SECOND_STORE',
    `${name}\n${other.name}`,
    `The store '${name}' has the same schema as the store '${other.name}' of this process, and neither counts what the other counts. ` +
      `Threads share a store by its name; perhaps ${forgotten}.`,
  );
}

/** Warns about a periodic flush without a sink. The timer does not keep the process alive. */
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

  /** Looks after one interval, and warns when there is no sink then. */
  after(intervalMs: number): void {
    this.stop();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#hasSink()) return;
      warn(
        this.#native,
        'METRICS_NO_SINK',
        this.#name,
        `startPeriodicFlush() of the store '${this.#name}' has run for ${intervalMs} ms and flushed nothing, because init() was never called. ` +
          'Call metrics.init(path or descriptor) to say where lines go.',
      );
    }, intervalMs);
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** Warns that sampleKvm() has nothing to sample. */
export function hintAtNoKvmStatistics(native: Native): void {
  warn(
    native,
    'METRICS_NO_KVM_STATISTICS',
    '',
    'sampleKvm() samples nothing: this kernel has no statistics descriptors of KVM (KVM_CAP_BINARY_STATS_FD, since Linux 5.14).',
  );
}

/** Warns about a VM or vCPU that sampleKvm() cannot read any more. Native code tells of each once. */
export function hintAtLostKvm(store: string, owner: string, cause: Error): void {
  process.emitWarning(
    `The store '${store}' cannot read KVM's statistics of the ${owner} any more, and keeps the last values: ${cause.message}`,
    { type: 'MetricsWarning', code: 'METRICS_KVM_LOST' },
  );
}

function warn(native: Native, code: string, about: string, message: string): void {
  if (native.isFirst(`${code}\n${about}`)) process.emitWarning(message, { type: 'MetricsWarning', code });
}

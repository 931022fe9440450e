// How a thread opens a store: what a call of Metrics.open() asks for, and the store that native code makes or finds.

import { appOf } from './app.ts';
import { shown } from './arguments.ts';
import { type Attachment, binding, bindingPath } from './binding.ts';
import { publishTroubles } from './diagnostics.ts';
import { ErrorCode, MetricsError } from './errors.ts';
import { failureError, isFailure } from './failures.ts';
import { hintAtOtherStores } from './hints.ts';
import { firstDifference, type Layout, layoutOf } from './layout.ts';
import { checkedOpenOptions } from './open-options.ts';
import { watchEnding } from './panics.ts';
import { type Identity, keyClash } from './program.ts';
import { hintAtDisk } from './region/disk.ts';
import { GENERATIONS_MAX, tidyGenerations } from './region/generations.ts';
import { type Schema, schemaOf } from './schema.ts';
import { factsOf, type StoreLocation, storeSpecOf } from './store-spec.ts';
import { ThreadCells } from './thread-cells.ts';

/** What a call of Metrics.open() asks for, checked. */
export interface StoreRequest {
  readonly name: string;
  readonly schema: Schema;
  readonly layout: Layout;
  readonly identity: Identity;
  readonly location: StoreLocation;
  /** Everything in which two calls with one name must agree. */
  readonly facts: Layout['facts'];
}

/** A store as one thread has it. */
export interface OpenedStore {
  readonly cells: ThreadCells;
  /** The accessors. */
  readonly app: object;
  /** Stops telling native code how this thread ends. */
  readonly unwatchEnding: () => void;
}

/**
 * Checks the arguments of Metrics.open(), and loads the addon.
 * @throws TypeError, RangeError; MetricsError `ERR_METRICS_SCHEMA`, `ERR_METRICS_NATIVE`.
 */
export function storeRequestOf(given: unknown, options: unknown): StoreRequest {
  const { name, identity, location, addon } = checkedOpenOptions(options);
  const schema = schemaOf(given);
  if (schema === undefined) {
    throw new MetricsError(ErrorCode.SCHEMA, `Metrics.open(): schema must come from defineSchema(); got ${shown(given)}`);
  }
  const clash = keyClash(identity, schema);
  if (clash !== undefined) throw new MetricsError(ErrorCode.SCHEMA, `Metrics.open(): ${clash}`);
  const layout = layoutOf(schema);
  binding(addon);
  return { name, schema, layout, identity, location, facts: factsOf(layout, identity, location.file) };
}

/**
 * Checks that an open store of the name is the one that is asked for.
 * @throws MetricsError `ERR_METRICS_LAYOUT_MISMATCH`, naming the first difference.
 */
export function checkSameStore(open: Layout['facts'], { name, facts }: Pick<StoreRequest, 'name' | 'facts'>): void {
  const difference = firstDifference(open, facts);
  if (difference !== undefined) throw mismatch(name, difference);
}

/**
 * Makes the store, or attaches to it where another thread has made it.
 * @throws MetricsError, see Metrics.open().
 */
export function openStore(request: StoreRequest): OpenedStore {
  const { name, schema, layout, identity, location, facts } = request;
  const { file } = location;
  const native = binding();
  const spec = storeSpecOf(name, schema, layout, identity, location);
  const openBefore = native.openStores();
  const opened = native.open(spec);
  if (typeof opened === 'string') {
    checkSameStore(JSON.parse(opened) as Layout['facts'], { name, facts });
    throw mismatch(name, 'the order differs');
  }
  if (isFailure(opened)) {
    throw failureError(
      opened,
      file === undefined
        ? { what: `Cannot open the store ${shown(name)}`, error: ErrorCode.NO_SPACE }
        : { what: `Cannot open the region file ${shown(file)}`, error: ErrorCode.REGION, path: file },
    );
  }
  const access = accessTo(opened, layout);
  publishTroubles(opened, name, file);
  hintAtOtherStores(native, openBefore, { name, fingerprint: spec.fingerprint, addon: bindingPath() });
  if (file === undefined) return { ...access, unwatchEnding: () => {} };
  hintAtDisk(native, file);
  const unwatchEnding = watchEnding(opened);
  if (opened.inherits()) tidy(file, opened, spec.errorCell);
  return { ...access, unwatchEnding };
}

function accessTo(attachment: Attachment, layout: Layout): { readonly cells: ThreadCells; readonly app: object } {
  try {
    const cells = new ThreadCells(attachment, layout);
    return { cells, app: appOf(cells, layout) };
  } catch (error) {
    attachment.detach(); // else the store would stay open until the object is collected
    throw error;
  }
}

/** Removes files of earlier lives that nobody needs. Only the process that has the region file open may do this. */
function tidy(file: string, attachment: Attachment, errorCell: number | undefined): void {
  for (const path of tidyGenerations(file)) {
    if (errorCell !== undefined) attachment.add(errorCell, 1n);
    process.emitWarning(
      `The region file ${shown(path)} was removed although no line contains its last counts: only the ${GENERATIONS_MAX} newest files are kept`,
      { type: 'MetricsWarning', code: 'METRICS_REGION_DROPPED' },
    );
  }
}

function mismatch(name: string, difference: string): MetricsError {
  return new MetricsError(ErrorCode.LAYOUT_MISMATCH, `A store ${shown(name)} is already open with a different layout: ${difference}`);
}

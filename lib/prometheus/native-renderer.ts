// The renderer in native code. Native code keeps the names and the labels of each source, and of each text only the
// values: the bytes of a text are written when somebody reads them.

import { type Binding, binding } from '../binding.ts';
import type { ExpositionSourceHandle, ExpositionTextHandle, ExpositionTextSpec } from '../binding-exposition.ts';
import type { Sampled } from '../sampled.ts';
import { type Family, familiesOf } from './families.ts';
import { headerBytes } from './header-bytes.ts';
import { escapedLabel } from './names.ts';
import { nativeFamilies } from './native-families.ts';
import {
  CHUNK_BYTES,
  type Memory,
  type RenderedText,
  type Renderer,
  type SamplesOptions,
  type SourceSamples,
  type TextOptions,
} from './rendering.ts';
import { unionOf } from './union.ts';
import { Shape } from './values.ts';

/** The renderer in native code; undefined in a process whose addon is missing or cannot render. */
export function nativeRenderer(): Renderer | undefined {
  let native: Binding;
  try {
    native = binding();
  } catch {
    return undefined; // the rest of the package says what is wrong with the addon
  }
  return typeof native.readExposition === 'function' ? new NativeRenderer(native) : undefined;
}

class NativeRenderer implements Renderer {
  readonly #native: Binding;

  constructor(native: Binding) {
    this.#native = native;
  }

  samplesOf(options: SamplesOptions): SourceSamples {
    return new NativeSamples(this.#native, options);
  }

  textOf(sources: readonly NativeSamples[], { isOpenMetrics, isWanted }: TextOptions): RenderedText {
    const text = this.#native.expositionText(selectionOf(sources, isOpenMetrics, isWanted));
    if (text === undefined) throw new Error('native code refuses the sources of a text');
    return new NativeText(this.#native, text);
  }
}

class NativeText implements RenderedText {
  readonly isKept = false;
  readonly bytes: number;
  readonly #native: Binding;
  readonly #handle: ExpositionTextHandle;

  constructor(native: Binding, handle: ExpositionTextHandle) {
    this.#native = native;
    this.#handle = handle;
    this.bytes = native.expositionTextBytes(handle);
  }

  *chunks(memory: Memory = (bytes) => Buffer.allocUnsafe(bytes)): Generator<Uint8Array> {
    const reading = this.#native.readExposition(this.#handle);
    if (reading === undefined) return;
    let needed = 0;
    do {
      const chunk = memory(Math.max(CHUNK_BYTES, needed));
      this.#native.writeExposition(reading, chunk, written);
      needed = written[1]!;
      if (written[0]! > 0) yield chunk.subarray(0, written[0]!);
    } while (needed > 0);
  }

  release(): void {
    this.#native.releaseExposition(this.#handle);
  }
}

/** For native code: how many bytes it wrote, and how many the next line needs. */
const written = new Uint32Array(2);

class NativeSamples implements SourceSamples {
  readonly #native: Binding;
  readonly #options: SamplesOptions;
  #shape: Shape | undefined;
  #families: readonly Family[] = [];
  #handle: ExpositionSourceHandle | undefined;
  #totals: BigUint64Array = new BigUint64Array();

  constructor(native: Binding, options: SamplesOptions) {
    this.#native = native;
    this.#options = options;
  }

  get families(): readonly Family[] {
    return this.#families;
  }

  /** Call only after update(). */
  get handle(): ExpositionSourceHandle {
    return this.#handle!;
  }

  /** The values of the last reading. */
  get totals(): BigUint64Array {
    return this.#totals;
  }

  update(sampled: Sampled): void {
    if (this.#shape === undefined || !this.#shape.fits(sampled)) this.#take(sampled);
    this.#totals = sampled.totals;
  }

  /** Takes over the devices of a reading. */
  #take(sampled: Sampled): void {
    const { prefix, labels } = this.#options;
    const { layout, totals } = sampled;
    const families = familiesOf(layout, prefix);
    const texts = [labels === '' ? ' ' : `{${labels}} `];
    const devices: number[] = [];
    for (const { group } of layout.devices) {
      for (const { id, firstCell, removed } of sampled.devices[group]!) {
        const own = removed ? '' : `{${labels}${labels === '' ? '' : ','}device="${escapedLabel(id)}"} `;
        texts.push(own);
        devices.push(group, firstCell, removed ? 1 : 0, Buffer.byteLength(own));
      }
    }
    const handle = this.#native.expositionSource(nativeFamilies(this.#native, layout, families), {
      labels: Buffer.from(texts.join('')),
      plainLabelBytes: Buffer.byteLength(texts[0]!),
      devices: Uint32Array.from(devices),
      cells: totals.length,
    });
    if (handle === undefined) throw new Error('native code refuses the devices of a source');
    this.#families = families;
    this.#handle = handle;
    this.#shape = new Shape(sampled);
  }
}

type Comments = Pick<ExpositionTextSpec, 'headers' | 'headerEnds'>;

/** Which families of which sources a text has, with their comment lines. */
function selectionOf(
  sources: readonly NativeSamples[],
  isOpenMetrics: boolean,
  isWanted: ((family: Family) => boolean) | undefined,
): ExpositionTextSpec {
  const { families, placeOf } = unionOf(sources);
  const wanted = Int32Array.from(families.keys()).filter((i) => isWanted === undefined || isWanted(families[i]!));
  const all = { sources: sources.map(({ handle }) => handle), totals: sources.map(({ totals }) => totals) };
  const lines = commentsOf(families, wanted, isOpenMetrics);
  if (placeOf === undefined) return { ...all, rows: new Uint32Array(sources.length), places: wanted, ...lines };
  const schemas = [...new Set(placeOf)];
  const rowOf = new Map(schemas.map((schema, row) => [schema, row]));
  const places = schemas.flatMap((schema) => Array.from(wanted, (i) => schema[i]!));
  return { ...all, rows: Uint32Array.from(placeOf, (schema) => rowOf.get(schema)!), places: Int32Array.from(places), ...lines };
}

/** The comment lines of all families of a schema, by format. */
const comments = new WeakMap<readonly Family[], { text?: Comments; openmetrics?: Comments }>();

function commentsOf(families: readonly Family[], wanted: Int32Array, isOpenMetrics: boolean): Comments {
  if (wanted.length < families.length) return join(families, wanted, isOpenMetrics);
  let both = comments.get(families);
  if (both === undefined) comments.set(families, (both = {}));
  return (both[isOpenMetrics ? 'openmetrics' : 'text'] ??= join(families, wanted, isOpenMetrics));
}

function join(families: readonly Family[], wanted: Int32Array, isOpenMetrics: boolean): Comments {
  const all = Array.from(wanted, (i) => headerBytes(families[i]!, isOpenMetrics));
  let end = 0;
  return { headers: Buffer.concat(all), headerEnds: Uint32Array.from(all, ({ length }) => (end += length)) };
}

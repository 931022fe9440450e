// Which metrics of a line are counters, whose numbers are deltas, and which are gauges. The line does not say so; a
// schema does. Pure.

import { type Fields, type MetricDef, type Schema, unitOf } from '../schema.ts';

/** `guess`: no schema has the metric, so it counts as a counter unless its name says that it is an extreme. */
export interface LineKind {
  readonly kind: 'inc' | 'store';
  readonly unit: string;
  readonly isGuess: boolean;
}

const EXTREME = /(^|[._])(min|max)(_us)?$/;

export class LineKinds {
  readonly #schemas: readonly Schema[];
  readonly #known = new Map<string, LineKind>();

  /** The first schema that has a metric tells its kind. */
  constructor(schemas: readonly Schema[]) {
    this.#schemas = schemas;
  }

  /** The key of the line's time. */
  get timeKey(): string {
    for (const { shape } of this.#schemas) {
      for (const [key, def] of Object.entries(shape)) if (def.kind === 'utcTimestampMs') return key;
    }
    return 'utc_timestamp_ms';
  }

  of(path: string): LineKind {
    let kind = this.#known.get(path);
    if (kind === undefined) {
      kind = this.#find(path) ?? guessed(path);
      this.#known.set(path, kind);
    }
    return kind;
  }

  #find(path: string): LineKind | undefined {
    for (const { shape } of this.#schemas) {
      for (const [key, def] of Object.entries(shape)) {
        if (def.kind === 'utcTimestampMs') continue;
        const rests = path.startsWith(`${key}.`) ? [path.slice(key.length + 1)] : [];
        // The id of a device may contain dots.
        if (def.kind === 'perDevice' && path.startsWith(`${key}_`)) rests.push(...restsAfterDots(path, key.length + 1));
        for (const rest of rests) {
          const found = kindIn(def.fields, rest);
          if (found !== undefined) return found;
        }
      }
    }
    return undefined;
  }
}

function restsAfterDots(path: string, from: number): string[] {
  const rests: string[] = [];
  for (let dot = path.indexOf('.', from); dot >= 0; dot = path.indexOf('.', dot + 1)) rests.push(path.slice(dot + 1));
  return rests;
}

/** `rest` is a metric's name, or the name of a latency metric and one of its parts. */
function kindIn(fields: Fields, rest: string): LineKind | undefined {
  const own = (name: string): MetricDef | undefined => (Object.hasOwn(fields, name) ? fields[name] : undefined);
  const def = own(rest);
  if (def?.kind === 'inc' || def?.kind === 'store') return { kind: def.kind, unit: unitOf(rest, def), isGuess: false };
  const dot = rest.lastIndexOf('.');
  const whole = own(rest.slice(0, dot));
  if (dot < 0 || whole === undefined || whole.kind === 'inc' || whole.kind === 'store') return undefined;
  const part = rest.slice(dot + 1);
  if (whole.kind === 'histogram' && (part === 'scale' || part === 'offset')) return { kind: 'store', unit: 'count', isGuess: false };
  const unit = /^(sum|min|max)(_us)?$/.test(part) ? unitOf(rest.slice(0, dot), whole) : 'count';
  return { kind: EXTREME.test(rest) ? 'store' : 'inc', unit, isGuess: false };
}

function guessed(path: string): LineKind {
  const unit = /_(ns|us|ms|bytes)(?:\.(?:sum|min|max))?$/.exec(path)?.[1] ?? 'count';
  return { kind: EXTREME.test(path) ? 'store' : 'inc', unit, isGuess: true };
}

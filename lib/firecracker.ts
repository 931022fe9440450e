/**
 * `vmm-metrics/firecracker`: the lines of Firecracker v1.15.1 and v1.16.1 as schemas. Pure: no files, no clock.
 * @module vmm-metrics/firecracker
 */

import { checkedOptions, mustBeOneOf } from './arguments.ts';
import { addedIn1_16, afterRtc, beforeRtc, rtc } from './firecracker/groups.ts';
import {
  defineSchema,
  type Fields,
  type GroupDef,
  group,
  type LatencyDef,
  type LatencyHistogramDef,
  latency,
  type PerDeviceDef,
  perDevice,
  type Schema,
  type SchemaShape,
} from './schema.ts';

/**
 * The metrics line of Firecracker v1.15.1 on x86_64, on whatever machine this process runs.
 *
 * For the architecture of this process, open {@link firecracker}.
 *
 * ```ts
 * const metrics = Metrics.open(firecrackerX86_64);
 * metrics.app.i8042.reset_count.inc();
 * ```
 */
export const firecrackerX86_64 = defineSchema({ ...beforeRtc, ...afterRtc });

/**
 * The metrics line of Firecracker v1.15.1 on aarch64, on whatever machine this process runs: the line of x86_64, with
 * `rtc` between `i8042` and `uart`.
 *
 * ```ts
 * const metrics = Metrics.open(firecrackerAarch64);
 * metrics.app.rtc.missed_read_count.inc();
 * ```
 */
export const firecrackerAarch64 = defineSchema({ ...beforeRtc, rtc, ...afterRtc });

/**
 * The metrics line of Firecracker v1.15.1 on the architecture of this process. A consumer of Firecracker's metrics can
 * read its lines: same keys, same order, same kinds of values.
 *
 * Its type has what both architectures have; for `rtc`, open {@link firecrackerAarch64}.
 *
 * ```ts
 * import { Metrics } from 'vmm-metrics';
 * import { firecracker } from 'vmm-metrics/firecracker';
 *
 * const metrics = Metrics.open(firecracker);
 * metrics.app.vcpu.exit_io_out.inc();
 * metrics.app.block.alloc('rootfs').read_count.inc(); // in the line: block_rootfs
 * metrics.app.vhost_user.alloc('block_data').cfg_fails.inc(); // in the line: vhost_user_block_data
 * ```
 */
export const firecracker: typeof firecrackerX86_64 = process.arch === 'arm64' ? firecrackerAarch64 : firecrackerX86_64;

/** Versions of Firecracker whose line {@link firecrackerSchema} gives: v1.15.1 and v1.16.1. */
export type FirecrackerVersion = '1.15' | '1.16';

/** Architectures of Firecracker, by Firecracker's names and by the names of `process.arch`. */
export type FirecrackerArch = 'x86_64' | 'aarch64' | 'x64' | 'arm64';

/** Which latencies have a hidden histogram: none, those of plain groups, or those of devices too. */
export type FirecrackerHistograms = false | 'groups' | 'all';

/** Which line of Firecracker a schema has. */
export interface FirecrackerOptions<
  V extends FirecrackerVersion = FirecrackerVersion,
  A extends FirecrackerArch = FirecrackerArch,
  H extends FirecrackerHistograms = FirecrackerHistograms,
> {
  /** The version of Firecracker. Default: `'1.15'`. */
  readonly version?: V | undefined;
  /** The architecture. Only the line of aarch64 has the group `rtc`. Default: the architecture of this process. */
  readonly arch?: A | undefined;
  /**
   * Which latencies have a hidden histogram, for quantiles. No line contains it, so the line is the same. With `'all'`,
   * each device has the memory of its histograms. Default: `false`.
   */
  readonly histograms?: H | undefined;
}

type Added = typeof addedIn1_16;
/** A group with fields added at its end. */
type WithFields<D, F extends Fields> =
  D extends GroupDef<infer G> ? GroupDef<G & F> : D extends PerDeviceDef<infer G> ? PerDeviceDef<G & F> : D;

type In1_16<S extends SchemaShape> = { readonly [K in keyof S]: K extends keyof Added ? WithFields<S[K], Added[K]> : S[K] };
interface Shapes {
  readonly '1.15': { readonly x86_64: typeof firecrackerX86_64.shape; readonly aarch64: typeof firecrackerAarch64.shape };
  readonly '1.16': { readonly [A in 'x86_64' | 'aarch64']: In1_16<Shapes['1.15'][A]> };
}

type KnownVersion<V> = [V] extends ['1.16'] ? '1.16' : '1.15';
type KnownArch<A> = [A] extends ['aarch64' | 'arm64'] ? 'aarch64' : 'x86_64';

/**
 * The shape of a line. As with {@link firecracker}, the type has `rtc` only if the architecture is known to be aarch64,
 * and the fields of v1.16.1 only if the version is known to be 1.16.
 */
export type FirecrackerShape<
  V extends FirecrackerVersion,
  A extends FirecrackerArch,
  H extends FirecrackerHistograms = false,
> = Shapes[KnownVersion<V>][KnownArch<A>] extends infer S extends SchemaShape ? WithHistograms<S, H> : never;

/** Fields whose latencies have a histogram. */
type Timed<F extends Fields> = { readonly [K in keyof F]: F[K] extends LatencyDef ? LatencyHistogramDef : F[K] };
type WithHistograms<S extends SchemaShape, H> = [H] extends ['groups' | 'all']
  ? {
      readonly [K in keyof S]: S[K] extends GroupDef<infer F>
        ? GroupDef<Timed<F>>
        : [H] extends ['all']
          ? S[K] extends PerDeviceDef<infer F>
            ? PerDeviceDef<Timed<F>>
            : S[K]
          : S[K];
    }
  : S;

const VERSIONS: readonly FirecrackerVersion[] = ['1.15', '1.16'];
const ARCHES: readonly FirecrackerArch[] = ['x86_64', 'aarch64', 'x64', 'arm64'];
const HISTOGRAMS: readonly FirecrackerHistograms[] = [false, 'groups', 'all'];

const isArm = (arch: string) => arch === 'aarch64' || arch === 'arm64';
/** The schemas that were asked for. */
const made = new Map<string, Schema>();

/**
 * The metrics line of a version of Firecracker, on an architecture. The same options always give the same schema:
 * `firecrackerSchema()` is {@link firecracker}.
 *
 * The line of v1.16.1 is the line of v1.15.1 with six more counters, each at the end of its group.
 *
 * ```ts
 * const metrics = Metrics.open(firecrackerSchema({ version: '1.16' }));
 * metrics.app.patch_api_requests.pmem_count.inc();
 * ```
 * @throws RangeError when there is no such version, architecture or choice of histograms. The message names what there
 * is. TypeError for an unknown option.
 */
export function firecrackerSchema<
  V extends FirecrackerVersion = '1.15',
  A extends FirecrackerArch = FirecrackerArch,
  H extends FirecrackerHistograms = false,
>(options?: FirecrackerOptions<V, A, H>): Schema<FirecrackerShape<V, A, H>> {
  const o = checkedOptions<FirecrackerOptions>('firecrackerSchema()', options, ['version', 'arch', 'histograms']);
  const version = oneOf('version', o.version, VERSIONS) ?? '1.15';
  const arm = isArm(oneOf('arch', o.arch, ARCHES) ?? process.arch);
  const histograms = oneOf('histograms', o.histograms, HISTOGRAMS) ?? false;
  const basis: Schema = arm ? firecrackerAarch64 : firecrackerX86_64;
  const schema = version === '1.15' && histograms === false ? basis : schemaFrom(basis.shape, arm, version, histograms);
  return schema as unknown as Schema<FirecrackerShape<V, A, H>>;
}

function oneOf<T>(option: string, value: T | undefined, allowed: readonly T[]): T | undefined {
  if (value === undefined || allowed.includes(value)) return value;
  throw new RangeError(mustBeOneOf(`firecrackerSchema(): ${option}`, value, allowed));
}

/** Made at the first call: a program with the line of v1.15.1 does not pay for the others. */
function schemaFrom(shape: SchemaShape, arm: boolean, version: FirecrackerVersion, histograms: FirecrackerHistograms): Schema {
  const key = `${arm} ${version} ${histograms}`;
  let schema = made.get(key);
  if (schema === undefined) {
    const added: Readonly<Record<string, Fields>> = version === '1.16' ? addedIn1_16 : {};
    const changed = Object.entries(shape).map(([key, def]) => [key, changedEntry(def, added[key], histograms)]);
    schema = defineSchema(Object.fromEntries(changed));
    made.set(key, schema);
  }
  return schema;
}

/** The entry with fields added at its end, and with histograms. An entry that does not change is checked already. */
function changedEntry(def: SchemaShape[string], added: Fields | undefined, histograms: FirecrackerHistograms): SchemaShape[string] {
  if (def.kind === 'utcTimestampMs') return def;
  const isTimed = histograms === 'all' || (histograms === 'groups' && def.kind === 'group');
  const hasLatencies = Object.values(def.fields).some(({ kind }) => kind === 'latency');
  if (added === undefined && !(isTimed && hasLatencies)) return def;
  let fields: Fields = { ...def.fields, ...added };
  if (isTimed) fields = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, timed(field)]));
  return def.kind === 'group' ? group(fields) : perDevice(fields, { aggregate: def.aggregate, latencyAggregate: def.latencyAggregate });
}

const timed = (field: Fields[string]) => (field.kind === 'latency' ? latency(field.doc, { histogram: true }) : field);

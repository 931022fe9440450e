// `metrics.app`: the accessors of a schema, for one thread.

import { type AccessorOf, accessorsOf } from './accessors/accessors.ts';
import { type Devices, ThreadDevices } from './devices.ts';
import type { Layout } from './layout.ts';
import type { GroupDef, PerDeviceDef, SchemaShape, TimestampDef } from './schema.ts';
import type { ThreadCells } from './thread-cells.ts';
import { throwsForUnknown } from './unknown-names.ts';

/** The accessors of a schema, nested as the schema is. */
export type Accessors<S extends SchemaShape> = {
  readonly [K in keyof S as NonNullable<S[K]> extends TimestampDef ? never : K]: NonNullable<S[K]> extends GroupDef<infer F>
    ? { readonly [N in keyof F]: AccessorOf<F[N]> }
    : NonNullable<S[K]> extends PerDeviceDef<infer F>
      ? Devices<F>
      : RunTimeGroup;
};

/** A group of a schema that the compiler does not know: names and kinds are checked when they are used. */
export interface RunTimeGroup {
  // biome-ignore lint/suspicious/noExplicitAny: an accessor, or a method of devices; nothing says which.
  readonly [name: string]: any;
}

export function appOf(cells: ThreadCells, layout: Layout): object {
  const keys = layout.entries.filter(({ kind }) => kind !== 'utcTimestampMs').map(({ key }) => key);
  const app: Record<string, unknown> = Object.create(throwsForUnknown('metrics.app', keys));
  for (const entry of layout.entries) {
    if (entry.kind === 'group') {
      const names = entry.metrics.map(({ name }) => name);
      app[entry.key] = accessorsOf(cells, entry.metrics, 0, throwsForUnknown(`metrics.app.${entry.key}`, names));
    }
    if (entry.kind === 'perDevice') app[entry.key] = new ThreadDevices(cells, entry);
  }
  return Object.freeze(app);
}

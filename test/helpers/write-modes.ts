// Threads that write in each way. A thread writes in the ways `shared` and `native` only when it must.

import { type Attachment, binding } from '../../lib/binding.ts';
import type { Layout } from '../../lib/layout.ts';
import type { Schema } from '../../lib/schema.ts';
import { storeSpecOf } from '../../lib/store-spec.ts';
import { ThreadCells, type WriteMode } from '../../lib/thread-cells.ts';

/** Opens a store, with an attachment that forces its thread to write in this way. */
export function cellsFor(mode: WriteMode, name: string, schema: Schema, layout: Layout): ThreadCells {
  const attachment = binding().open(storeSpecOf(name, schema, layout, {}, { previous: 'keep' })) as Attachment;
  const proxied = new Proxy(attachment, {
    get(target, property) {
      if (mode === 'native' && property === 'row') return () => null; // as with V8's sandbox
      if (mode === 'shared' && property === 'shard') return 0; // as when every shard is taken
      const value = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return new ThreadCells(proxied, layout);
}

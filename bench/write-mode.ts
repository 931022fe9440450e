// Two ways of writing that a thread uses only if it must: `shared` if all shards are taken, and `native` if this Node
// allows no view over the cells.

interface Attachment {
  readonly shard: number;
  row(chunk: number, shard: number): ArrayBuffer | null;
}

/** Makes this process write in that way to every store that it opens from now on. */
export function forceWriteMode(mode: 'shared' | 'native'): void {
  const { dlopen } = process;
  process.dlopen = (module: object, file: string) => {
    dlopen(module, file);
    const { exports } = module as { exports: { open(spec: object): Attachment } };
    const { open } = exports;
    if (open === undefined) return;
    exports.open = (spec) => {
      const attachment = open(spec);
      const name = mode === 'shared' ? 'shard' : 'row';
      if (!(name in attachment)) throw new Error(`an attachment has no '${name}' any more`);
      Object.defineProperty(attachment, name, { value: mode === 'shared' ? 0 : () => null });
      return attachment;
    };
  };
}

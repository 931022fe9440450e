// The two ways of writing that a thread takes only when it must: `shared`, when all shards are taken, and `native`,
// when this Node allows no view over the cells.

interface Attachment {
  readonly shard: number;
  row(chunk: number, shard: number): ArrayBuffer | null;
}

/** From now on every store that this process opens is written in that way. */
export function forceWriteMode(mode: 'shared' | 'native'): void {
  const { dlopen } = process;
  process.dlopen = (module: object, file: string) => {
    dlopen(module, file);
    const { exports } = module as { exports: { open(spec: object): Attachment } };
    const { open } = exports;
    if (open === undefined) return;
    exports.open = (spec) => {
      const attachment = open(spec);
      if (mode === 'shared') Object.defineProperty(attachment, 'shard', { value: 0 });
      else Object.defineProperty(attachment, 'row', { value: () => null });
      return attachment;
    };
  };
}

// A WebAssembly trap. TypeScript declares WebAssembly only in its browser library, so this file declares what it uses.

declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: unknown };
};

/** A load out of bounds: a SIGSEGV, which V8 turns into a RuntimeError. */
export function outOfBoundsLoad(): () => number {
  // (module (memory 1) (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))
  const bytes = Uint8Array.from([
    ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 8, 1, 4, 108, 111, 97, 100, 0, 0],
    ...[10, 9, 1, 7, 0, 32, 0, 40, 2, 0, 11],
  ]);
  const { load } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as { load(address: number): number };
  return () => load(0x7fff_0000);
}

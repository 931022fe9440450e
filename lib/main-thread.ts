// Whether this is the main thread of its process. The module that knows takes a millisecond to load, and few programs
// need to know.

let is: boolean | undefined;

/** Loads that module when it is called for the first time. */
export function isMainThread(): boolean {
  is ??= process.getBuiltinModule('node:worker_threads').isMainThread;
  return is;
}

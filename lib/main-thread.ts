// Whether this is the main thread of its process. Node's module `worker_threads`, which tells, takes a millisecond to
// load, and few programs need the answer.

let is: boolean | undefined;

/** Loads that module when it is called for the first time. */
export function isMainThread(): boolean {
  is ??= process.getBuiltinModule('node:worker_threads').isMainThread;
  return is;
}

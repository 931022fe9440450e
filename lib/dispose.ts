// The symbols that `using` looks for. A realm of its own, such as a vm context of Node 20 or 22, lacks them; the
// methods then have other names, and close(), stop() and their like do the same.

export const DISPOSE: typeof Symbol.dispose = Symbol.dispose ?? (Symbol.for('vmm-metrics.dispose') as never);
export const ASYNC_DISPOSE: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? (Symbol.for('vmm-metrics.asyncDispose') as never);

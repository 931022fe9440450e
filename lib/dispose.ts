// The symbols that `using` looks for. A vm context of Node 20 or 22 lacks them. There, these methods have other symbols
// as their names, and close(), stop() and the like still work.

export const DISPOSE: typeof Symbol.dispose = Symbol.dispose ?? (Symbol.for('vmm-metrics.dispose') as never);
export const ASYNC_DISPOSE: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? (Symbol.for('vmm-metrics.asyncDispose') as never);

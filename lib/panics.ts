// Panics: JavaScript's own way for a VMM to die.

/** What to do at a panic, for each store of this thread. One listener serves them all: Node takes more than ten for a leak. */
const watching = new Set<() => void>();

/**
 * Calls `onPanic` when an uncaught exception or unhandled rejection is about to end this process, or this worker; not when the host
 * handles it. Node's message and exit code stay what they are. `onPanic` is never called after the returned function, which ends it.
 */
export function watchPanics(onPanic: () => void): () => void {
  // Asked of Node each time: a host may have called removeAllListeners().
  if (!process.listeners('uncaughtExceptionMonitor').includes(monitor)) process.on('uncaughtExceptionMonitor', monitor);
  watching.add(onPanic);
  return () => {
    if (watching.delete(onPanic) && watching.size === 0) process.off('uncaughtExceptionMonitor', monitor);
  };
}

// May run once more after it was taken off: emit() goes over the listeners that were there when it began.
function monitor(): void {
  // The host's own handlers have the last word, and keep the process alive.
  if (process.listenerCount('uncaughtException') > 0 || process.hasUncaughtExceptionCaptureCallback()) return;
  for (const onPanic of watching) onPanic();
}

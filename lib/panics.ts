// Panics: JavaScript's own way for a VMM to die.

/**
 * Calls `onPanic` when an uncaught exception or unhandled rejection is about to end this process, or this worker; not when the host
 * handles it. Node's message and exit code stay what they are. Returns what ends it.
 */
export function watchPanics(onPanic: () => void): () => void {
  const monitor = () => {
    // The host's own handlers have the last word, and keep the process alive.
    if (process.listenerCount('uncaughtException') > 0 || process.hasUncaughtExceptionCaptureCallback()) return;
    onPanic();
  };
  process.on('uncaughtExceptionMonitor', monitor);
  return () => process.off('uncaughtExceptionMonitor', monitor);
}

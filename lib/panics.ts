// How a thread ends: by a panic, which is how JavaScript crashes, or with an exit code.

import { accessorOf } from './accessors/accessors.ts';
import type { Attachment } from './binding.ts';
import type { Layout } from './layout.ts';
import { isMainThread } from './main-thread.ts';
import { markedMetric } from './store-spec.ts';
import type { ThreadCells } from './thread-cells.ts';

/**
 * What to do at a panic, for all stores of this thread. They share one listener, because Node warns about more than
 * ten.
 */
const watching = new Set<() => void>();

/**
 * Calls `onPanic` when an uncaught exception or unhandled rejection is about to end this process, or this worker, and
 * not when the host handles the error. Node's message and exit code are unchanged. Returns a function that ends this:
 * `onPanic` is never called afterwards.
 */
export function watchPanics(onPanic: () => void): () => void {
  // Checks Node's listeners each time, because the host may have called removeAllListeners().
  if (!process.listeners('uncaughtExceptionMonitor').includes(monitor)) process.on('uncaughtExceptionMonitor', monitor);
  watching.add(onPanic);
  return () => {
    if (watching.delete(onPanic) && watching.size === 0) process.off('uncaughtExceptionMonitor', monitor);
  };
}

// monitor() can run once more after it was removed, because emit() calls the listeners that were there when it began.
function monitor(): void {
  // The host handles the error, and the process goes on.
  if (process.listenerCount('uncaughtException') > 0 || process.hasUncaughtExceptionCaptureCallback()) return;
  for (const onPanic of watching) onPanic();
}

/** The attachments that a panic has flushed: their last line is out. */
const flushed = new WeakSet<Attachment>();

/** At a panic, raises the metric marked `onPanic` and flushes a line. Returns a function that ends this. */
export function capturePanics(cells: ThreadCells, layout: Layout): () => void {
  const marked = markedMetric(layout, (def) => def.onPanic === true);
  const metric = marked && accessorOf(cells, marked, marked.cell);
  return watchPanics(() => {
    if (cells.closed) return;
    if (metric && 'store' in metric) metric.store(1);
    else if (metric && 'inc' in metric) metric.inc();
    cells.attachment.flush(); // what does not get out is counted; there is nobody to throw to
    flushed.add(cells.attachment);
  });
}

/** The exit code while it is not known; `kExitCodeUnknown` in native/store/ending.h. */
const UNKNOWN = -1;

/** The attachments that are told how this thread ends. They share one listener, as above. */
const ending = new Set<Attachment>();

/** Tells native code how this thread ends, for readers of the region. Returns a function that ends this. */
export function watchEnding(attachment: Attachment): () => void {
  isMainThread(); // what it loads is there when the thread ends
  if (!process.listeners('exit').includes(exit)) process.on('exit', exit);
  ending.add(attachment);
  const unwatch = watchPanics(() => attachment.ends(true, UNKNOWN, isMainThread()));
  return () => {
    unwatch();
    if (ending.delete(attachment) && ending.size === 0) process.off('exit', exit);
  };
}

// Node does not call exit() when native code ends the process, or when a worker is terminated.
function exit(code: number): void {
  for (const attachment of ending) attachment.ends(false, code & 0xff, isMainThread());
  // Bun ends a process without the handlers of exit(3), which flush what is left elsewhere.
  if (process.versions['bun'] === undefined || !isMainThread()) return;
  for (const attachment of ending) if (!flushed.has(attachment)) attachment.flush();
}

// How a thread ends: by a panic, JavaScript's own way for a VMM to die, or with an exit code.

import { isMainThread } from 'node:worker_threads';

import { accessorOf } from './accessors/accessors.ts';
import type { Attachment } from './binding.ts';
import type { Layout } from './layout.ts';
import { markedMetric } from './store-spec.ts';
import type { ThreadCells } from './thread-cells.ts';

/**
 * What to do at a panic, for each store of this thread. One listener serves them all: Node takes more than ten for a
 * leak.
 */
const watching = new Set<() => void>();

/**
 * Calls `onPanic` when an uncaught exception or unhandled rejection is about to end this process, or this worker; not
 * when the host handles it. Node's message and exit code stay what they are. `onPanic` is never called after the
 * returned function, which ends it.
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

/** At a panic, raises the metric marked `onPanic` and flushes a line. Returns what ends it. */
export function capturePanics(cells: ThreadCells, layout: Layout): () => void {
  const marked = markedMetric(layout, (def) => def.onPanic === true);
  const metric = marked && accessorOf(cells, marked.def, marked.cell);
  return watchPanics(() => {
    if (cells.closed) return;
    if (metric && 'store' in metric) metric.store(1);
    else if (metric && 'inc' in metric) metric.inc();
    cells.attachment.flush(); // what does not get out is counted; there is nobody to throw to
  });
}

/** The exit code while it is not known: kExitCodeUnknown in native/store/ending.h. */
const UNKNOWN = -1;

/** What to tell of the end of this thread. One listener serves them all, as above. */
const ending = new Set<Attachment>();

/** Tells native code how this thread ends, for who reads the region afterwards. Returns what ends it. */
export function watchEnding(attachment: Attachment): () => void {
  if (!process.listeners('exit').includes(exit)) process.on('exit', exit);
  ending.add(attachment);
  const unwatch = watchPanics(() => attachment.ends(true, UNKNOWN, isMainThread));
  return () => {
    unwatch();
    if (ending.delete(attachment) && ending.size === 0) process.off('exit', exit);
  };
}

// Not called when native code ends the process, nor in a worker that is terminated.
function exit(code: number): void {
  for (const attachment of ending) attachment.ends(false, code & 0xff, isMainThread);
}

// Which renderer this thread has.

import { JavaScriptRenderer } from './fleet-text.ts';
import { nativeRenderer } from './native-renderer.ts';
import type { Renderer } from './rendering.ts';

let chosen: Renderer | undefined;

/** The renderer of this thread. */
export function renderer(): Renderer {
  return (chosen ??= nativeRenderer() ?? new JavaScriptRenderer());
}

// The values of a store, taken again and again.

import type { Layout } from './layout.ts';
import type { Sampled } from './sampled.ts';
import type { ThreadCells } from './thread-cells.ts';
import { devicesIn } from './values.ts';

export class Samples {
  readonly #cells: ThreadCells;
  readonly #layout: Layout;
  /** What was sampled last. As long as no device comes or goes, its memory is used again. */
  #last: Sampled | undefined;

  constructor(cells: ThreadCells, layout: Layout) {
    this.#cells = cells;
    this.#layout = layout;
  }

  /** The values now, until the next call. */
  take(): Sampled {
    const { attachment } = this.#cells;
    this.#cells.letGo();
    const last = this.#last;
    if (last !== undefined && attachment.totalsInto(last.totals)) return last;
    const { totals, ids } = attachment.snapshot();
    return (this.#last = { layout: this.#layout, totals, devices: devicesIn(this.#layout, ids) });
  }
}

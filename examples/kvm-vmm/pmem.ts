// Persistent memory. The guest uses one operation of it: a flush, which makes the file behind the memory durable.

import { closeSync, fdatasync, openSync } from 'node:fs';

import type { VmMetrics } from './vmm.ts';

export class Pmem {
  readonly #fd: number;
  readonly #pmem: ReturnType<VmMetrics['app']['pmem']['alloc']>;

  constructor(metrics: VmMetrics, id: string, file: string) {
    this.#pmem = metrics.app.pmem.alloc(id);
    this.#fd = openSync(file, 'a');
  }

  flush(): void {
    this.#pmem.queue_event_count.inc();
    fdatasync(this.#fd, (error) => {
      if (error !== null) this.#pmem.event_fails.inc();
    });
  }

  close(): void {
    closeSync(this.#fd);
  }
}

// A block device backed by an image file. The vCPU thread owns the ring of requests in guest memory and counts its
// metrics (native/block_queue.h; queue_event_count and others). Both threads count into the same device, block_<id>.

import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';

import type { DiskRequest, VmMetrics } from './vmm.ts';

export const SECTOR_BYTES = 512;

export class Disk {
  readonly id: string;
  readonly sectors: number;
  readonly #fd: number;
  readonly #block: ReturnType<VmMetrics['app']['block']['alloc']>;

  constructor(metrics: VmMetrics, id: string, imageFile: string) {
    this.id = id;
    this.#block = metrics.app.block.alloc(id);
    this.#fd = openSync(imageFile, 'r+');
    this.sectors = Math.floor(fstatSync(this.#fd).size / SECTOR_BYTES);
  }

  handle({ operation, sector, bytes, data }: DiskRequest): Uint8Array | undefined {
    if (sector * SECTOR_BYTES + bytes > this.sectors * SECTOR_BYTES) {
      this.#block.invalid_reqs_count.inc();
      return undefined;
    }
    try {
      return operation === 'read' ? this.#read(sector, bytes) : this.#write(sector, data);
    } catch {
      this.#block.execute_fails.inc();
      return undefined;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #read(sector: number, bytes: number): Uint8Array {
    const data = new Uint8Array(bytes);
    const timer = this.#block.read_agg.record();
    try {
      readSync(this.#fd, data, 0, bytes, sector * SECTOR_BYTES);
    } finally {
      timer.end(); // `using timer = ...`, which Node has from version 24 on, needs no try
    }
    this.#block.read_count.inc();
    this.#block.read_bytes.add(bytes);
    return data;
  }

  #write(sector: number, data: Uint8Array): Uint8Array {
    const timer = this.#block.write_agg.record();
    try {
      writeSync(this.#fd, data, 0, data.length, sector * SECTOR_BYTES);
    } finally {
      timer.end();
    }
    this.#block.write_count.inc();
    this.#block.write_bytes.add(data.length);
    return new Uint8Array();
  }
}

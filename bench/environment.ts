// The machine on which figures were measured, and when. Without these, figures mean nothing.

import { cpus, loadavg, release, totalmem } from 'node:os';

export interface Environment {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly load: number;
  readonly date: string;
}

export function environment(): Environment {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    load: loadavg()[0]!,
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
  };
}

export function environmentText({ processor, cores, memoryGiB, kernel, node, load, date }: Environment): string {
  return `${processor}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, Node ${node}, load ${load.toFixed(1)}, ${date} UTC`;
}

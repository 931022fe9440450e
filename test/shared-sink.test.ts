// Several stores of one process share a pipe. They take turns, and each line is whole.

import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Metrics } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { makeFifo, Reader } from './helpers/sinks.ts';
import { closing, freshName, linesOf, sumOf, temporaryFolder } from './helpers/workplace.ts';

test('given three stores that opened one pipe in different ways, when a slow reader reads everything, then no line is broken or lost', () => {
  const path = makeFifo(join(temporaryFolder(), 'fifo'));
  const reader = new Reader(path);
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  const stores = [path, fd, `/proc/self/fd/${fd}`].map((sink) => {
    const metrics = closing(Metrics.open(firecracker, { name: freshName() }));
    metrics.init(sink);
    return metrics;
  });
  let text = '';
  let missed = 0;
  for (let turn = 0; turn < 120; turn++) {
    const metrics = stores[turn % 3]!;
    metrics.app.vcpu.exit_io_out.inc();
    try {
      metrics.write();
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_METRICS_WRITE', cause: { code: 'EAGAIN' } });
      missed++;
    }
    text += reader.text(4321); // less than a line
  }
  // Read until no store has half a line in the pipe.
  for (let left = 3; left > 0; ) {
    left = 0;
    for (const metrics of stores) {
      text += reader.text();
      try {
        metrics.write();
      } catch {
        left++;
      }
    }
  }
  text += reader.text();
  const pending = stores.reduce((sum, metrics) => sum + metrics.app.vcpu.exit_io_out.fetchDiff(), 0n);
  const lines = linesOf(text);
  expect(lines.length).toBeGreaterThan(3);
  expect(missed).toBeGreaterThan(0);
  expect(pending + sumOf(lines, 'vcpu.exit_io_out')).toBe(120n);
  closeSync(fd);
  reader.close();
});

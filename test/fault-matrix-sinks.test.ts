// The fault matrix, rows 16 to 18: SIGKILL with a region file, a region file that loses its memory, and a sink that
// takes nothing.

import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { expect } from 'vitest';

import { runChild } from './helpers/children.ts';
import { ABRT, SEGV } from './helpers/fault-variants.ts';
import { type Case, runFault } from './helpers/faults.ts';
import { checkKilled, killed } from './helpers/kills.ts';
import { printTable, row } from './helpers/matrix-table.ts';
import { makeFifo } from './helpers/sinks.ts';
import { at, linesIn, temporaryFolder } from './helpers/workplace.ts';

/** One line, which contains everything that the failed line contained, and a count of the missed flush. */
function expectPendingIn(path: string): void {
  const values = linesIn(path).map((line) => [at(line, 'vcpu.exit_io_out'), at(line, 'logger.missed_metrics_count')]);
  expect(values).toEqual([[7n, 1n]]);
}

const canMount = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'vmm-metrics', '/mnt']).status === 0;

row(16, 'SIGKILL under full load, with a region file', (add) => {
  for (const sink of ['file', 'pipe', 'none'] as const) {
    add(
      `when SIGKILL comes at some moment, with lines to ${sink}, then the region has every acknowledged increment, and says killed`,
      async () => {
        checkKilled(await killed(sink, Math.random() * 80));
      },
    );
  }
  // The process kills itself in the middle of the write of a line, or right after the write.
  const [midst, end] = [
    [0, constants.signals.SIGKILL],
    [-1, constants.signals.SIGKILL],
  ];
  const worst = [
    { name: 'in the midst of a line', sink: 'file', at: midst, settled: 'pending', lines: 0 },
    { name: 'between the last byte of a line and its commit', sink: 'file', at: end, settled: 'out', lines: 1 },
    { name: 'there, with a pipe, of which nobody can tell', sink: 'pipe', at: end, settled: 'unknown', lines: 1 },
  ] as const;
  for (const { name, sink, at: write, settled, lines } of worst) {
    add(`when SIGKILL comes ${name}, then that line counts as ${settled}`, async () => {
      const death = await killed(sink, { at: write });
      expect(death.reading.lineInFlight).toBe(settled);
      expect(death.lines).toHaveLength(lines);
      checkKilled(death);
    });
  }
  const changes = [
    { name: 'a device was removed', plug: { remove: ['d0'], add: [] } },
    { name: 'a device was added', plug: { remove: [], add: ['d2'] } },
    { name: 'a device was replaced by one of its name', plug: { remove: ['d0'], add: ['d0'] } },
    { name: 'all devices were replaced by others', plug: { remove: ['d0', 'd1'], add: ['d2'] } },
  ];
  for (const { name, plug } of changes) {
    add(`when SIGKILL comes there, and ${name} since the line was collected, then that line counts as out`, async () => {
      const death = await killed('file', { at: [-60_000, 0], plug });
      expect(death.reading.lineInFlight).toBe('out');
      expect(death.lines).toHaveLength(1);
      checkKilled(death);
    });
  }
});

row(17, 'region file cut short, or its disk full', (add) => {
  const cut = async (steps: readonly string[], more: object = {}) => {
    const folder = temporaryFolder();
    const [file, sink] = [`${folder}/r`, `${folder}/lines`];
    const death = await runChild('region.mjs', [JSON.stringify({ file, sink, steps, ...more })]);
    return { ...death, lines: linesIn(sink).map((line) => [at(line, 'vcpu.exit_io_in'), at(line, 'logger.metrics_fails')]) };
  };
  for (const bytes of [0, 100, 8192, 8192 + 37 * 4096]) {
    add(
      `when it is cut to ${bytes} bytes while main counts, then the process lives, deltas are right, and only the next line says so`,
      async () => {
        const { code, signal, stdout, lines } = await cut(['open', 'write', 'truncate', 'add', 'print', 'write', 'add', 'write', 'close'], {
          bytes,
        });
        expect({ code, signal }).toEqual({ code: 0, signal: null });
        expect(stdout).toMatch(/^\d+ pending 3 /);
        expect(lines).toEqual([[5n, 0n], [3n, 1n], [3n, 0n], [0n, 0n]]); // biome-ignore format: one row
      },
    );
  }
  add('when it is cut while a worker counts, then its counts from then on are in the line', async () => {
    const { code, lines } = await cut(['open', 'write', 'worker', 'write', 'close'], { bytes: 0 });
    expect(code).toBe(0);
    expect(lines.at(1)![0]).toBeGreaterThanOrEqual(1000n);
    expect(lines.at(1)![0]).toBeLessThanOrEqual(1002n);
  });
  const deaths = [
    { die: 'segv', ends: 'SIGSEGV', name: 'inside the handler of a SIGSEGV' },
    { die: 'bus', ends: 'SIGBUS', name: "inside the handler of the host's own SIGBUS" },
    { die: 'killBus', ends: 'SIGBUS', name: 'inside the handler of a SIGBUS that was sent' },
  ] as const;
  for (const { die, ends, name } of deaths) {
    add(`when the cut is found ${name}, then the process ends with ${ends}, and one line says both`, async () => {
      const { lines, code, signal } = await cut(['open', 'capture', 'write', 'truncate', die, 'wait']);
      expect({ code, signal }).toEqual({ code: null, signal: ends });
      expect(lines).toEqual([[5n, 0n], [0n, 1n]]); // biome-ignore format: one row
    });
  }
});

row(18, 'sink full, reader gone, disk full, file limit reached, path removed', (add) => {
  const sinks: { what: string; error: string; impossible?: string; make(folder: string): [Plan: object, run?: Case['run']] }[] = [
    { what: 'a full device', error: 'ENOSPC', make: () => [{ sink: '/dev/full' }] },
    { what: 'a pipe that is full', error: 'EAGAIN', make: (folder) => [{ sink: makeFifo(`${folder}/fifo`) }] },
    {
      what: 'a pipe whose reader has gone',
      error: 'EPIPE',
      make: (folder) => {
        const fifo = makeFifo(`${folder}/fifo`);
        return [{ sinkFd: 9 }, { before: `: <'${fifo}' & exec 9>'${fifo}'; wait` }];
      },
    },
    {
      what: 'a file at the limit on file sizes',
      error: 'EFBIG',
      make: (folder) => {
        writeFileSync(`${folder}/lines`, `${' '.repeat(4095)}\n`);
        return [{ sink: `${folder}/lines` }, { before: 'ulimit -f 8' }];
      },
    },
    {
      what: 'a file on a full disk',
      error: 'ENOSPC',
      ...(!canMount && { impossible: 'no file system can be mounted here' }),
      make: (folder) => {
        const mount = 'mount -t tmpfs -o size=16k vmm-metrics "$0" && exec "$@"';
        return [{ sink: `${folder}/lines` }, { prefix: ['unshare', '--mount', 'sh', '-c', mount, folder] }];
      },
    },
    {
      what: 'a path that is removed',
      error: 'ENOENT',
      make: (folder) => {
        mkdirSync(`${folder}/gone`);
        return [{ sink: `${folder}/gone/lines`, removes: `${folder}/gone` }];
      },
    },
  ];
  for (const { what, error, impossible, make } of sinks) {
    add(
      `given ${what}, when a line is flushed, then it counts as missed, and the process lives`,
      async () => {
        const [plan, run] = make(temporaryFolder());
        const death = await runFault({ how: 'nothing', fills: true, tells: true, ...plan }, run);
        expect(death).toMatchObject({ code: 0, signal: null, stdout: `${error}\nalive with 7, missed 1, seen \n` });
      },
      impossible,
    );
    for (const [how, end] of [
      ['null', SEGV],
      ['js-abort', ABRT],
    ] as const) {
      add(
        `given ${what}, when ${how}, then the process dies by ${end.ends}`,
        async () => {
          const [plan, run] = make(temporaryFolder());
          const death = await runFault({ how, fills: true, ...plan }, run);
          expect(death).toMatchObject({ code: null, signal: end.ends });
        },
        impossible,
      );
    }
  }
  add('given a path that was removed, when it is there again, then the next line has what was pending, and counts the misses', async () => {
    const folder = `${temporaryFolder()}/gone`;
    mkdirSync(folder);
    const plan = { how: 'nothing', sink: `${folder}/lines`, removes: folder, fills: true, mends: `mkdir '${folder}'` };
    expect(await runFault(plan)).toMatchObject({ code: 0, stdout: 'ENOENT\n' });
    expectPendingIn(`${folder}/lines`);
  });
  add(
    'given a full device, when the link points to a file again, then the next line has what was pending, and counts the misses',
    async () => {
      const [link, file] = ['link', 'lines'].map((name) => `${temporaryFolder()}/${name}`) as [string, string];
      symlinkSync('/dev/full', link);
      const plan = { how: 'nothing', sink: link, fills: true, mends: `ln -sfn '${file}' '${link}'` };
      expect(await runFault(plan)).toMatchObject({ code: 0, stdout: 'ENOSPC\n' });
      expectPendingIn(file);
    },
  );
});

printTable();

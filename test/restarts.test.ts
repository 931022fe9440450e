// One process after another uses a region file. No count is lost, however often they die.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { defineSchema, group, inc, Metrics, readRegion, utcTimestampMs } from 'vmm-metrics';

import { type ChildOptions, runChild } from './helpers/children.ts';
import { program } from './helpers/command.ts';
import { HANG_MS } from './helpers/limits.ts';
import { HeldPipe, makeFifo } from './helpers/sinks.ts';
import { slowWrites } from './helpers/slow-write.ts';
import { at, closing, freshName, type Line, linesIn, linesOf, sumOf, temporaryFolder } from './helpers/workplace.ts';

/** Runs a process that counts 5. */
async function life(
  file: string,
  plan: { sink?: string; steps?: readonly string[]; [more: string]: unknown } = {},
  options?: ChildOptions,
) {
  return runChild('region.mjs', [JSON.stringify({ file, steps: ['open', 'kill'], ...plan })], options);
}
/** The whole lines of a file. Half a line of a writer that died was ended by a newline, and is left out. */
const wholeLinesIn = (path: string) =>
  linesOf(
    readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => `${line}\n`)
      .join(''),
  );
const said = (lines: readonly Line[]) => sumOf(lines, 'vcpu.exit_io_in');
const generations = (folder: string) => readdirSync(folder).filter((name) => name.startsWith('r.previous'));

const schema = defineSchema({
  utc_timestamp_ms: utcTimestampMs(),
  g: group({ n: inc('n'), trouble: inc('trouble', { onError: true }), missed: inc('missed', { onMissedFlush: true }) }),
});
const open = (file: string, options: object = {}) => closing(Metrics.open(schema, { name: freshName(), file, ...options }));

describe('given a process in a crash loop', () => {
  test('when it is killed twice before a flush and started a third time, then the lines have the counts of all three lives', async () => {
    const folder = temporaryFolder();
    const [file, sink] = [`${folder}/r`, `${folder}/lines`];
    for (let i = 0; i < 2; i++) expect(await life(file, { sink })).toMatchObject({ signal: 'SIGKILL' });
    expect(await life(file, { sink, steps: ['open', 'close'] })).toMatchObject({ code: 0 });
    expect(said(linesIn(sink))).toBe(15n);
    expect(linesIn(sink)).toHaveLength(3);
    expect(generations(folder)).toEqual(['r.previous']);
    expect(await readRegion(`${file}.previous`)).toMatchObject({ hasPending: false, linesFlushed: 1n, state: 'killed' });
  });

  test('when no life reaches init(), then 16 lives are kept, each dropped life gives a warning, and .previous is the newest', async () => {
    const folder = temporaryFolder();
    const file = `${folder}/r`;
    let inode = 0;
    for (let i = 0; i < 20; i++) {
      inode = i === 19 ? statSync(file).ino : 0;
      const { stderr } = await life(file, { steps: ['open', 'tick', 'kill'] });
      expect(stderr.includes('METRICS_REGION_DROPPED'), `life ${i}: ${stderr}`).toBe(i > 16);
    }
    expect(generations(folder)).toHaveLength(16);
    expect(statSync(`${file}.previous`).ino).toBe(inode);
    const metrics = open(file);
    expect(metrics.app.g.trouble.count()).toBe(1n);
  });

  test('when an older life has nothing pending, then it is not kept, and does not displace a life with pending deltas', async () => {
    const folder = temporaryFolder();
    const file = `${folder}/r`;
    await life(file); // 5 pending
    for (let i = 0; i < 3; i++) {
      const metrics = open(file, { recover: false });
      metrics.init(`${folder}/lines`);
      metrics.app.g.n.inc();
      metrics.close();
    }
    open(file);
    expect(generations(folder)).toHaveLength(2);
    const oldest = generations(folder).find((name) => name !== 'r.previous')!;
    expect(await readRegion(`${folder}/${oldest}`)).toMatchObject({ hasPending: true });
  });
});

describe('given a killed process with pending deltas', () => {
  const killed = async (sinkOf: (folder: string) => string = (folder) => `${folder}/lines`) => {
    const folder = temporaryFolder();
    const [file, sink] = [`${folder}/r`, sinkOf(folder)];
    expect(await life(file, { sink })).toMatchObject({ signal: 'SIGKILL' });
    return { folder, file, sink };
  };

  test('when the next process has the same sink, then init() writes the line once', async () => {
    const { file, sink } = await killed();
    const metrics = open(file);
    metrics.init(sink);
    expect(said(linesIn(sink))).toBe(5n);
    metrics.close();
    const again = open(file);
    again.init(sink);
    expect(linesIn(sink).filter((line) => 'vcpu' in line)).toHaveLength(1);
  });

  test('when the next process has another sink, recover: false, or previous: discard, then the line is not written', async () => {
    const { folder, file, sink } = await killed();
    const other = open(file);
    other.init(`${folder}/others`);
    other.close();
    expect(linesIn(`${folder}/others`).some((line) => 'vcpu' in line)).toBe(false);
    const leaving = open(file, { recover: false });
    leaving.init(sink);
    expect(readFileSync(sink, 'utf8')).toBe('');
    leaving.close();
    expect(await readRegion(`${file}.previous.2`)).toMatchObject({ hasPending: true });
    const discarding = open(file, { previous: 'discard', recover: false });
    discarding.init(sink);
    expect(generations(folder)).toHaveLength(2);
  });

  test('when the next process passes a descriptor of the same sink, then the line is written', async () => {
    const { file, sink } = await killed();
    const fd = openSync(sink, 'a');
    open(file).init(fd);
    closeSync(fd);
    expect(said(linesIn(sink))).toBe(5n);
  });

  test('when the disk is full, then init() succeeds, write() throws, and once there is room, the line is written first', async () => {
    const { folder, file, sink } = await killed();
    unlinkSync(sink);
    symlinkSync('/dev/full', sink);
    const metrics = open(file);
    metrics.init(sink);
    metrics.app.g.n.add(3);
    expect(() => metrics.write()).toThrow(
      expect.objectContaining({ code: 'ERR_METRICS_WRITE', cause: expect.objectContaining({ code: 'ENOSPC' }) }),
    );
    expect(await readRegion(`${file}.previous`)).toMatchObject({ hasPending: true });
    expect((await readRegion(`${file}.previous`)).lineInFlight).toBeUndefined();
    unlinkSync(sink);
    writeFileSync(`${folder}/disk`, '');
    symlinkSync('disk', sink);
    expect(metrics.write()).toBe(true);
    const lines = linesIn(sink);
    expect(lines.map((line) => 'vcpu' in line)).toEqual([true, false]);
    expect(at(lines[1]!, 'g.n')).toBe(3n);
    expect(at(lines[1]!, 'g.missed')).toBe(1n);
  });

  test('when nobody reads the pipe, then the periodic flush writes the line as soon as a reader opens the pipe', async () => {
    const { file, sink } = await killed((folder) => makeFifo(`${folder}/lines`));
    const pipe = new HeldPipe(sink);
    pipe.fill();
    const metrics = open(file);
    metrics.init(sink);
    metrics.startPeriodicFlush({ intervalMs: 5 });
    metrics.app.g.n.add(3);
    await vi.waitUntil(() => metrics.app.g.missed.count() > 2n, HANG_MS);
    let text = '';
    await vi.waitUntil(() => {
      text += pipe.text();
      return metrics.app.g.n.fetchDiff() === 0n;
    }, HANG_MS);
    metrics.close();
    text += pipe.text();
    pipe.close();
    const lines = linesOf(text.replace(/^\n+/, ''));
    expect(lines.filter((line) => 'vcpu' in line)).toHaveLength(1);
    expect('vcpu' in lines[0]!).toBe(true);
    expect(sumOf(lines.slice(1), 'g.n')).toBe(3n);
    expect(await readRegion(`${file}.previous`)).toMatchObject({ hasPending: false });
  });

  test.each([
    { when: 'in the middle of its line', at: [0, 9] },
    { when: 'right after its line, before it is committed', at: [-1, 9] },
  ])('when the next process is killed $when, then the process after it writes what is missing, and nothing twice', async ({ at }) => {
    const { file, sink } = await killed();
    expect(await life(file, { at, lines: sink, steps: ['open', 'slow', 'init'] }, slowWrites)).toMatchObject({ signal: 'SIGKILL' });
    expect(await readRegion(`${file}.previous`)).toMatchObject({ lineInFlight: at[0] === 0 ? 'pending' : 'out' });
    expect(await life(file, { sink, steps: ['open', 'close'] })).toMatchObject({ code: 0 });
    expect(said(wholeLinesIn(sink))).toBe(15n);
    expect(wholeLinesIn(sink)).toHaveLength(3);
  });

  test.each([
    0, 50, 100,
  ])('when a fault ends the next process after %s percent of the line, then every count is written once', async (percent) => {
    const { file, sink } = await killed();
    const plan = { percent, lines: sink, steps: ['open', 'capture', 'faulty', 'init'] };
    expect(await life(file, plan, slowWrites)).toMatchObject({ signal: 'SIGSEGV' });
    expect(await life(file, { sink, steps: ['open', 'close'] })).toMatchObject({ code: 0 });
    expect(said(wholeLinesIn(sink))).toBe(15n);
    expect(wholeLinesIn(sink)).toHaveLength(3);
  });

  test('when the command flushes the region while the next process starts, then the line is written once', async () => {
    const { file, sink } = await killed();
    const metrics = open(file);
    const command = execFileSync.bind(undefined, process.execPath, [program, 'flush', `${file}.previous`, '--to', sink]);
    metrics.init(sink);
    command({ stdio: 'ignore' });
    expect(said(linesIn(sink))).toBe(5n);
  });

  test('when another process holds the lock of the region for a moment, then the line is still written', async () => {
    const { file, sink } = await killed();
    const metrics = open(file);
    const asking = spawn('flock', ['--shared', `${file}.previous`, '-c', 'echo; sleep 0.02'], { stdio: ['ignore', 'pipe', 'ignore'] });
    await once(asking.stdout, 'data');
    metrics.init(sink);
    expect(said(linesIn(sink))).toBe(5n);
  });

  test('when the region is damaged, then init() succeeds without the line, and the region is kept', async () => {
    const { file, sink } = await killed();
    const bytes = readFileSync(file);
    bytes.writeUInt32LE(99, 8); // an unknown version
    writeFileSync(file, bytes);
    const metrics = open(file);
    metrics.init(sink);
    metrics.close();
    open(file).init(sink);
    expect(existsSync(`${file}.previous.2`)).toBe(true);
    expect(said(linesIn(sink).filter((line) => 'vcpu' in line))).toBe(0n);
  });

  test('when init() is called twice, then the line is written once', async () => {
    const { file, sink } = await killed();
    const metrics = open(file);
    metrics.init(sink);
    expect(() => metrics.init(sink)).toThrow(expect.objectContaining({ code: 'ERR_METRICS_ALREADY_INITIALIZED' }));
    expect(said(linesIn(sink))).toBe(5n);
  });
});

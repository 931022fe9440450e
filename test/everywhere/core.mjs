// What the package does on every runtime and platform: core.mjs CASE FOLDER PACKAGE [ADDON]. Prints one line of JSON;
// the tests of scripts/test-everywhere.mjs say what it must be. PACKAGE is the folder of the package, unpacked, and
// ADDON the test addon. This program uses nothing but the package and what Node, Deno and Bun share.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { isMainThread, Worker, workerData } from 'node:worker_threads';

const [name, folder, root, testAddon] = isMainThread ? process.argv.slice(2) : workerData;
const { defineSchema, group, inc, latency, Metrics, perDevice, readRegion, store } = await import(join(root, 'dist/lib/index.js'));

const schema = defineSchema({
  vcpu: group({ exits: inc('Exits'), depth: store('Depth'), time: latency('Time') }),
  disk: perDevice({ reads: inc('Reads') }),
  signals: group({
    sigsegv: store('SIGSEGV', { onSignal: 'SIGSEGV' }),
    sigbus: store('SIGBUS', { onSignal: 'SIGBUS' }),
    sigabrt: store('SIGABRT', { onSignal: 'SIGABRT' }),
    sigterm: store('SIGTERM', { onSignal: 'SIGTERM' }),
    panics: inc('Panics', { onPanic: true }),
  }),
});
const lines = join(folder, 'lines');
const file = join(folder, 'region');
const open = (options) => Metrics.open(schema, { name: 'vm0', ...options });
const say = (value) => console.log(JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? Number(v) : v)));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Leaves three increments pending, and dies. */
async function dieBy(how) {
  const metrics = open({ file });
  metrics.init(lines);
  metrics.captureSignals();
  metrics.capturePanics();
  metrics.app.vcpu.exits.add(3);
  metrics.app.disk.alloc('rootfs').reads.inc();
  say('ready');
  if (how === 'exit') process.exit(7);
  if (how === 'abort') process.abort();
  if (how === 'throw') throw new Error('on purpose');
  if (how === 'reject') return Promise.reject(new Error('on purpose'));
  if (how === 'end') return; // the event loop is empty
  if (how.startsWith('native ')) dieInNativeCode(how.slice('native '.length));
  await sleep(20_000); // until the signal of another process
  process.exit(0);
}

/** For real: `null` reads address 0, `truncated` reads a file that has been cut, `abort` calls abort(3). */
function dieInNativeCode(how) {
  const addon = { exports: {} };
  process.dlopen(addon, testAddon);
  addon.exports.die(how, 'main', 0);
}

/** Adds for a while, and gives the time of one inc(), in nanoseconds of this thread's loop. */
function nsOfInc(metric) {
  let best = Infinity;
  for (let round = 0; round < 30; round++) {
    const began = performance.now();
    for (let i = 0; i < 1_000_000; i++) metric.inc();
    best = Math.min(best, performance.now() - began);
  }
  return best;
}

const CASES = {
  counts() {
    const metrics = open();
    const { exits, depth, time } = metrics.app.vcpu;
    exits.inc();
    exits.add(41);
    exits.add(2n ** 40n);
    depth.store(7);
    time.observe(5n);
    time.observe(3);
    const [min, max] = [time.min_us.fetch(), time.max_us.fetch()];
    time.record()[Symbol.dispose]();
    const inSnapshot = metrics.snapshot().vcpu.exits;
    say({ exits: exits.count(), diff: exits.fetchDiff(), depth: depth.fetch(), min, max, inSnapshot });
  },
  large() {
    const { exits } = open().app.vcpu;
    const seen = [];
    const add = (n) => {
      exits.add(n);
      exits.inc();
      exits.add(3);
      seen.push(String(exits.count()));
    };
    add(2n ** 52n - 2n);
    add(2 ** 32 - 1);
    add(2n ** 52n - 2n ** 32n - 4n);
    add(1);
    add(2n ** 63n);
    add(2n ** 63n - 2n ** 53n - 6n); // wraps
    say(seen);
  },
  lines() {
    const metrics = open();
    metrics.init(lines);
    metrics.app.vcpu.exits.add(2);
    const first = metrics.write();
    metrics.app.vcpu.exits.add(5);
    metrics.app.vcpu.depth.store(9);
    const second = metrics.write();
    metrics.app.vcpu.exits.inc();
    metrics.close();
    say({ first, second });
  },
  async periodic() {
    const metrics = open();
    metrics.init(lines);
    metrics.startPeriodicFlush({ intervalMs: 20 });
    metrics.app.vcpu.exits.add(5);
    const count = () => readFileSync(lines, 'utf8').split('\n').length - 1;
    while (count() < 3) await sleep(5);
    metrics.close();
    say({ enough: count() >= 3 });
  },
  devices() {
    const metrics = open();
    metrics.init(lines);
    const { disk } = metrics.app;
    const rootfs = disk.alloc('rootfs');
    rootfs.reads.add(2);
    disk.alloc('data').reads.add(3);
    const same = disk.alloc('rootfs') === rootfs;
    metrics.write();
    const removed = [disk.remove('data'), disk.remove('data')];
    rootfs.reads.inc();
    metrics.close();
    say({ same, removed });
  },
  async workers() {
    if (!isMainThread) {
      const metrics = open();
      for (let i = 0; i < 100_000; i++) metrics.app.vcpu.exits.inc();
      metrics.close();
      return;
    }
    const metrics = open();
    const done = [1, 2, 3].map(
      () =>
        new Promise((resolve, reject) => {
          const worker = new Worker(new URL(import.meta.url), { workerData: ['workers', folder, root] });
          worker.on('exit', resolve).on('error', reject);
        }),
    );
    metrics.app.vcpu.exits.add(7);
    await Promise.all(done);
    say({ exits: metrics.app.vcpu.exits.count() });
    metrics.close();
  },
  async reader() {
    const { state, values, pending, line } = await readRegion(file);
    say({ state, exits: values.vcpu.exits, pending: pending.disk.devices.rootfs.reads, line: JSON.parse(line()).vcpu.exits });
  },
  async profile() {
    const metrics = open();
    const output = join(folder, 'profile.tsv');
    const profile = metrics.startProfiling({ metrics: ['vcpu.exits'], intervalUs: 1000, output });
    for (let i = 0; i < 20; i++) {
      metrics.app.vcpu.exits.inc();
      await sleep(2);
    }
    const { samples } = await profile.stop();
    const rows = readFileSync(output, 'utf8').trimEnd().split('\n');
    say({
      rows: rows.filter((row) => /^\d+\t\d+$/.test(row)).length === samples,
      last: rows
        .filter((row) => /^\d/.test(row))
        .at(-1)
        .split('\t')[1],
    });
    metrics.close();
  },
  errors() {
    const codeOf = (call) => {
      try {
        return call() ?? 'none';
      } catch (error) {
        return error.code ?? error.name;
      }
    };
    const metrics = open();
    say([
      codeOf(() => metrics.init('/nowhere/lines')),
      codeOf(() => metrics.app.vcpu.exits.add(-1)),
      codeOf(() => Metrics.open(schema, { nam: 'vm0' })),
      codeOf(() => Metrics.open(defineSchema({ g: group({ n: inc('n') }) }), { name: 'vm0' })),
    ]);
    metrics.close();
  },
  cost() {
    const metrics = open();
    say({ ns: nsOfInc(metrics.app.vcpu.exits) });
  },
};

if (name.startsWith('die:')) await dieBy(name.slice(4));
else await CASES[name]();

// Makes the machine, its files and its metrics, runs the machine, and prints what was counted.

import { accessSync, constants, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { BootTimer } from './boot-timer.ts';
import { Disk, SECTOR_BYTES } from './disk.ts';
import { exitsSeen, kvmTable } from './kvm-exits.ts';
import { Pmem } from './pmem.ts';
import { plotProfile, startProfile } from './profile.ts';
import { Serial } from './serial.ts';
import type { Settings } from './settings.ts';
import { showRegion } from './show.ts';
import { kvmProblem, openMetrics, Vm, type VmMetrics } from './vmm.ts';

const DISK_SECTORS = 64;
const FLUSH_INTERVAL_MS = 1000;
const DEATH_AFTER_MS = 1.5 * FLUSH_INTERVAL_MS; // half an interval after a flush, so that the last line has much to show

/** Runs one machine from start to end. Returns the exit code. */
export async function runMachine(settings: Settings): Promise<number> {
  const directory = settings.directory ?? makeDirectory();
  try {
    return await runIn(directory, settings);
  } finally {
    if (settings.directory === undefined) rmSync(directory, { recursive: true, force: true });
  }
}

/** Makes a directory for the machine's files: in /dev/shm if that is writable, else in the temporary directory. */
export function makeDirectory(): string {
  const parent = isWritable('/dev/shm') ? '/dev/shm' : tmpdir();
  return mkdtempSync(join(parent, 'kvm-vmm-'));
}

/** The region file: it holds the values of the metrics. */
export function regionOf(directory: string): string {
  return join(directory, 'metrics.region');
}

/** The file that the metrics lines are written to. */
export function metricsFileOf(directory: string, settings: Settings): string {
  return settings.metricsFile ?? join(directory, 'metrics.jsonl');
}

async function runIn(directory: string, settings: Settings): Promise<number> {
  const problem = settings.simulate ? '--simulate' : kvmProblem();
  const metrics = openMetrics(regionOf(directory), problem === undefined);
  const metricsFile = metricsFileOf(directory, settings);
  metrics.init(metricsFile);
  metrics.captureSignals();
  metrics.capturePanics();
  reportStart(metrics);

  process.stdout.write(problem === undefined ? 'Running on KVM\n' : `Running a simulated vCPU (${problem})\n`);

  const files = makeFiles(directory);
  const disk = new Disk(metrics, 'rootfs', files.image);
  const pmem = new Pmem(metrics, 'drv0', files.pmem);
  const serial = new Serial(metrics, guestLines());
  process.stdout.on('error', () => serial.outputFailed());
  const bootTimer = new BootTimer((bootMs) => process.stdout.write(`Guest booted after ${bootMs.toFixed(1)} ms\n`));
  const end = promiseWithResolvers<string | undefined>();
  const vm = new Vm({
    metrics,
    devices: { serial, disk, pmem, bootTimer },
    memoryFile: files.memory,
    simulate: problem !== undefined,
    exitsPerSecond: settings.exitsPerSecond,
    onEnd: end.resolve,
  });
  const profile = settings.profile ? startProfile(metrics) : undefined;
  const startedMs = performance.now();
  metrics.startPeriodicFlush({ intervalMs: FLUSH_INTERVAL_MS }); // here, because DEATH_AFTER_MS counts from now too
  const timers = [
    setTimeout(() => serial.type(vm, '(typed on the host, echoed by the guest)\n'), 200),
    settings.death === undefined
      ? setTimeout(() => end.resolve(undefined), settings.seconds * 1000)
      : setTimeout(() => kill(vm, files.memory, settings.death), DEATH_AFTER_MS),
  ];
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => end.resolve(undefined));

  const failure = await end.promise;
  for (const timer of timers) clearTimeout(timer);
  vm.stop();
  const ranMs = performance.now() - startedMs;
  const stats = await profile?.stop();
  pmem.close();
  disk.close();
  const snapshot = metrics.snapshot();
  metrics.close(); // flushes the last line

  const exits = Number(exitsSeen(snapshot.vcpu));
  const lines = readFileSync(metricsFile, 'utf8').split('\n').length - 1;
  const removed = settings.metricsFile === undefined ? ' (removed now; use --metrics FILE to keep it)' : '';
  const troubleShowing = showRegion(regionOf(directory));
  process.stdout.write(`
${exits} guest exits in ${(ranMs / 1000).toFixed(2)} s: ${Math.round((exits / ranMs) * 1000)} per second
${lines} metrics ${lines === 1 ? 'line' : 'lines'} in ${metricsFile}${removed}
`);
  const table = kvmTable(snapshot);
  if (table !== undefined) process.stdout.write(`\nExits that reached this program, and what KVM has counted:\n${table}`);
  if (stats !== undefined) process.stdout.write(plotProfile(stats));
  const trouble = failure === undefined ? troubleShowing : `the vCPU failed: ${failure}`;
  if (trouble === undefined) return 0;
  process.stderr.write(`kvm-vmm: ${trouble}\n`);
  return 1;
}

/** `Promise.withResolvers()`, for Node versions without it. */
function promiseWithResolvers<T>() {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((resolvePromise) => {
    resolve = resolvePromise;
  });
  return { promise, resolve };
}

/** The start time is on the monotonic clock, as in Firecracker. */
function reportStart(metrics: VmMetrics): void {
  const startTimeUs = process.hrtime.bigint() / 1000n - BigInt(Math.round(process.uptime() * 1e6));
  metrics.reportStartTime({ startTimeUs, startTimeCpuUs: 0n });
}

/**
 * Kills the process in the requested way. SIGKILL comes at once; the other signals come from the vCPU thread, at the
 * guest's next exit.
 */
function kill(vm: Vm, memoryFile: string, death: Settings['death']): void {
  if (death === 'crash') {
    process.stdout.write("Truncating the guest's memory file\n");
    truncateSync(memoryFile, 0);
  } else if (death === 'kill') {
    process.kill(process.pid, 'SIGKILL');
  } else {
    process.stdout.write('A device on the vCPU thread follows a chain of descriptors that never ends\n');
    vm.overflow();
  }
}

function makeFiles(directory: string): { memory: string; image: string; pmem: string } {
  const files = { memory: join(directory, 'memory'), image: join(directory, 'rootfs.img'), pmem: join(directory, 'pmem.img') };
  const image = Buffer.alloc(DISK_SECTORS * SECTOR_BYTES);
  image.write('Hello from sector 0 of the disk.\n'); // the guest prints this text up to the first NUL
  writeFileSync(files.memory, '', { mode: 0o600 });
  writeFileSync(files.image, image, { mode: 0o600 });
  writeFileSync(files.pmem, '', { mode: 0o600 });
  return files;
}

/** Prints the guest's output as it arrives, and marks each line. */
function guestLines(): (text: string) => void {
  let atLineStart = true;
  return (text) => {
    const marked = text.replace(/^(?=[\s\S])/gm, (_, at: number) => (at > 0 || atLineStart ? 'guest | ' : ''));
    atLineStart = text.endsWith('\n');
    process.stdout.write(marked);
  };
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

// The demo is the first user of the package: a change that breaks the demo breaks users.

import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { kvmFields } from 'vmm-metrics/kvm';

import { node, runProgram } from './helpers/children.ts';
import { HANG_MS } from './helpers/limits.ts';
import { at, linesIn, sumOf, temporaryFolder } from './helpers/workplace.ts';

const main = fileURLToPath(new URL('../dist/examples/kvm-vmm/main.js', import.meta.url));

function demo(...args: string[]): Promise<{ code: number | null; text: string }> {
  return demoIn(process.cwd(), ...args);
}

function demoIn(cwd: string, ...args: string[]): Promise<{ code: number | null; text: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(node, [main, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'], timeout: HANG_MS, killSignal: 'SIGKILL' });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => (text += part));
    child.on('error', reject).on('close', (code) => resolve({ code, text }));
  });
}

const machines = [
  {
    machine: 'the machine at hand',
    options: [],
    says: existsSync('/dev/kvm') ? /Running on KVM|Running a simulated vCPU \(/ : /Running a simulated vCPU \(\/dev\/kvm/,
  },
  { machine: 'a simulated vCPU', options: ['--simulate'], says: /Running a simulated vCPU \(--simulate\)/ },
];

describe.each(machines)('given $machine', ({ options, says }) => {
  test('when the demo runs, then it counts exits with their latencies, and flushes every second', async () => {
    const sink = `${temporaryFolder()}/lines`;
    const { code, text } = await demo('--seconds', '2.5', '--metrics', sink, ...options);
    expect(text).toMatch(says);
    expect(text).toContain('guest | Hello from the guest');
    expect(text).toMatch(
      /\$ vmm-metrics show .*\n.*\nkvm-vmm, process \d+, was closed; .*\nNothing pending: all values have been flushed\.\n/,
    );
    expect(text).toMatch(/^ {2}exit_io_out_agg +[\d,]+ +0 {2}us +sum; min \d+, max [\d,]+; mean [\d.]+ [mun]?s of [\d,]+ /m);
    expect(code).toBe(0);
    // Where the guest runs on KVM, KVM has counted at least the exits that reached the demo.
    const [, seen, counted] = /^ {2}all exits +([\d,]+) +([\d,]+)$/m.exec(text) ?? [];
    const isShown = text.includes('Running on KVM') && kvmFields() !== undefined;
    expect([seen !== undefined, text.includes('counted by KVM')]).toEqual([isShown, isShown]);
    const number = (shown = '0') => Number(shown.replaceAll(',', ''));
    expect(number(counted)).toBeGreaterThanOrEqual(number(seen));
    const lines = linesIn(sink) as { vcpu: { exit_io_out: bigint } }[];
    expect(lines.length).toBeGreaterThanOrEqual(2); // a late one may be left out
    // One store has both, so the lines have both.
    if (isShown) expect(sumOf(lines, 'kvm_vcpu_0.exits')).toBe(BigInt(number(counted)));
    const exits = lines.reduce((sum, line) => sum + line.vcpu.exit_io_out, 0n);
    const shown = /^ {2}exit_io_out +([\d,]+) /m.exec(text)?.[1]?.replaceAll(',', '');
    expect(exits).toBe(BigInt(shown ?? -1));
  });

  test('when it runs with --profile, then the table and the page show what the guest did', async () => {
    const folder = temporaryFolder();
    const { code, text } = await demoIn(folder, '--profile', '--seconds', '1', ...options);
    expect(text).toMatch(/\d+ samples in kvm-vmm-profile\.tsv, .*\nPlot in .*kvm-vmm-profile\.html\n/);
    expect(code).toBe(0);
    const [, header, ...rows] = readFileSync(`${folder}/kvm-vmm-profile.tsv`, 'utf8').split('\n').slice(0, -2);
    const column = header!.split('\t').indexOf('vcpu.exit_io_out');
    expect(Number(rows.at(-1)!.split('\t')[column])).toBeGreaterThan(0);
    expect(readFileSync(`${folder}/kvm-vmm-profile.html`, 'utf8')).toContain('block_rootfs');
  });

  test.each([
    { death: '--crash', signal: 'SIGBUS', metric: 'signals.sigbus' },
    { death: '--overflow', signal: 'SIGSEGV', metric: 'signals.sigsegv' },
  ])('when it runs with $death, then it dies by $signal and the last line says so', async ({ death, signal, metric }) => {
    const sink = `${temporaryFolder()}/lines`;
    const { code, text } = await demo(death, '--metrics', sink, ...options);
    expect(text).toContain(`The process was killed by ${signal}`);
    expect(text).toMatch(new RegExp(`${metric} +1 .*<--`));
    expect(code).toBe(0);
    // The machine does not die right after a flush: the line of the crash has much to show.
    const exits = linesIn(sink).map((line) => at(line, 'vcpu.exit_io_out') as bigint);
    expect(exits.length).toBeGreaterThanOrEqual(2);
    expect(exits.at(-1)! * 20n).toBeGreaterThan(exits[0]!);
  });

  test('when it runs with --kill, then its region file holds its last numbers and says that it was killed', async () => {
    const { code, text } = await demo('--kill', ...options);
    expect(text).toContain('The process was killed by SIGKILL');
    expect(text).toMatch(/killed/);
    expect(text).toMatch(/exit_io_out +[\d,]+ +\+[\d,]{3,} /); // hundreds are pending: the last flush was not just now
    expect(code).toBe(0);
  });
});

describe('given the tour', () => {
  test('when it runs without a terminal, then it runs every variant without a pause, and each one names the next', async () => {
    const { code, text } = await demoIn(temporaryFolder(), '--tour', '--simulate', '--seconds', '0.2');
    expect(code, text).toBe(0);
    const order = /^== \d of \d: .*|^Running on .*|^Running a .*|^The process was .*|^Plot in |^Next.*|^That was .*/gm;
    expect(text.match(order)?.map((line) => line.replace(/ of .*\(npm run demo/, ' … (npm run demo'))).toEqual([
      '== 1 … (npm run demo)',
      'Running a simulated vCPU (--simulate)',
      'Next, try: npm run demo -- --crash --simulate',
      '== 2 … (npm run demo -- --crash)',
      'Running a simulated vCPU (--simulate)',
      'The process was killed by SIGBUS.',
      'Next, try: npm run demo -- --overflow --simulate',
      '== 3 … (npm run demo -- --overflow)',
      'Running a simulated vCPU (--simulate)',
      'The process was killed by SIGSEGV.',
      'Next, try: npm run demo -- --kill --simulate',
      '== 4 … (npm run demo -- --kill)',
      'Running a simulated vCPU (--simulate)',
      'The process was killed by SIGKILL.',
      'Next, try: npm run demo -- --profile --simulate',
      '== 5 … (npm run demo -- --profile)',
      'Running a simulated vCPU (--simulate)',
      'Plot in ',
      'That was the last variant. Next, read docs/guides/vmm-author.md.',
    ]);
  });

  test('when it is combined with a variant, then it runs nothing, and says which options to leave out', async () => {
    const { code, text } = await demo('--tour', '--kill');
    expect(code).toBe(2);
    expect(text).toBe('kvm-vmm: --tour runs all variants; leave out --crash, --overflow, --kill, --profile and --metrics\n');
  });
});

describe('given `npm run demo`', () => {
  const root = fileURLToPath(new URL('../', import.meta.url));
  const built = ['dist/examples/kvm-vmm/main.js', 'build/Release/vmm_metrics.node', 'examples/kvm-vmm/build/Release/kvm_vmm.node'];
  const modified = () => built.map((file) => statSync(`${root}${file}`).mtimeMs);

  test('when it is started twice, then the second start builds nothing, and no compiler output is printed', async () => {
    const start = () => runProgram(node, [`${root}scripts/demo.mjs`, '--help']);
    await start(); // npm pack takes the addon out of build/
    const before = modified();
    const { code, stdout, stderr } = await start();
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^Usage: .*\n\nRuns a tiny guest (.*\n)+ {2}--help .*\n$/);
    expect(stderr).toBe('');
    expect(modified()).toEqual(before);
  });

  test('when a source does not compile, then it prints the compiler output, runs nothing, and exits with 1', async () => {
    const folder = temporaryFolder();
    mkdirSync(`${folder}/scripts`);
    copyFileSync(`${root}scripts/demo.mjs`, `${folder}/scripts/demo.mjs`);
    symlinkSync(`${root}node_modules`, `${folder}/node_modules`);
    writeFileSync(`${folder}/tsconfig.json`, '{ "files": ["broken.ts"], "compilerOptions": { "types": [], "noEmit": true } }');
    writeFileSync(`${folder}/broken.ts`, 'export const x: string = 1;');
    const { code, stdout, stderr } = await runProgram(node, [`${folder}/scripts/demo.mjs`, '--help']);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^Building .*tsc --build .*tsconfig\.json\n.*broken\.ts\(1,14\): error TS2322/s);
  });
});

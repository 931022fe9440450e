// `vmm-metrics watch`, in a terminal.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { writeRegion } from './helpers/region-writer.ts';
import { inTerminal, LEFT, screenOf } from './helpers/terminal.ts';
import { vcpuCounted, vcpuRegion, vcpuRegionFile } from './helpers/vcpu-region.ts';
import { temporaryFolder } from './helpers/workplace.ts';

/** What a screen without a filter shows. */
const STARTED = 'vcpu\\s+exits|disk(.|\\s)*ops';

describe('vmm-metrics watch', () => {
  test.each([
    { how: 'q', end: 'q', code: 0, signal: null },
    { how: 'Ctrl-C', end: '\x03', code: 0, signal: null },
    { how: 'SIGTERM', end: { kill: 'SIGTERM' }, code: null, signal: 'SIGTERM' },
    { how: 'SIGHUP', end: { kill: 'SIGHUP' }, code: null, signal: 'SIGHUP' },
  ])('when it ends by $how, then the terminal is restored', async ({ end, code, signal }) => {
    const session = await inTerminal(80, 24, [[STARTED, end]], 'watch', vcpuRegionFile());
    expect(session).toMatchObject({ code, signal, restored: true });
    expect(session.screens[0]).toContain('\x1b[?1049h');
    expect(session.last).toContain(LEFT);
  });

  test('when a counter goes up, then its rate is shown; when another process takes the file, or the file is removed, then a message says so', async () => {
    const folder = temporaryFolder();
    const path = vcpuRegion(join(folder, 'region'));
    const { model, before } = vcpuCounted();
    model.holders[1]!.bump('ops', 1_000_000n);
    writeRegion(join(folder, 'later'), model, before);
    writeRegion(join(folder, 'other'), model, before, { name: 'other', pid: 5555, state: 3 });
    const session = await inTerminal(
      200,
      24,
      [
        ['ops +3 +0 ', { run: `mv '${folder}/later' '${path}'` }],
        ['ops +1,000,003 +[0-9]', { run: `mv '${folder}/other' '${path}'` }],
        ['another process has taken the file over', { run: `rm '${path}'` }],
        ['the file is gone', 'q'],
      ],
      'watch',
      path,
      '--interval',
      '300',
    );
    expect(session.code).toBe(0);
    const [first, , other, gone] = session.screens.map(screenOf);
    expect(first).toContain('vm0, process 4242, was killed');
    expect(first).toMatch(/ops +3 +0 +\+3 +▁+ +Requests\n/);
    const rates = session.screens[1]!.split('\x1b[H')
      .map(screenOf)
      .flatMap((screen) => /ops +1,000,003 +([\d,]+) /.exec(screen)?.[1] ?? []);
    expect(rates.length).toBeGreaterThan(0);
    expect(Number(rates[0]!.replaceAll(',', ''))).toBeGreaterThan(0);
    expect(other).toContain('other, process 5555, crashed');
    expect(other).toContain('another process has taken the file over');
    expect(gone).toContain('the file is gone; these are its last numbers');
    expect(gone).toMatch(/ops +1,000,003 /);
  });

  test('when keys are pressed, then it filters, sorts, shows help or all metrics, and fits a terminal of any size', async () => {
    const session = await inTerminal(
      80,
      24,
      [
        [STARTED, '/OPS\r'],
        ["filter 'OPS'", '\x1b'],
        [STARTED, 's'],
        ['vcpu[.]exits', '?'],
        ['Keys of vmm-metrics watch', 'x'],
        ['vcpu[.]exits', 'a'],
        ['vcpu[.]idle', { resize: [40, 8] }],
        ['', { resize: [200, 50] }],
        ['', 'q'],
      ],
      'watch',
      vcpuRegionFile(),
    );
    const [first, filtered, unfiltered, sorted, help, back, all, small, wide] = session.screens.map(screenOf);
    for (const screen of [first, unfiltered]) expect(screen).toMatch(/vcpu\n +exits/);
    expect(filtered).toMatch(/ops +3/);
    expect(filtered).not.toContain('exits');
    expect(filtered).toContain("filter 'OPS'");
    expect(sorted).toContain('vcpu.exits');
    expect(help).toContain('page up, page down, space  scroll by a page');
    expect(back).toContain('vcpu.exits');
    expect(all).toContain('vcpu.idle');
    expect(small!.split('\n')).toHaveLength(8);
    expect(wide!.split('\n')).toHaveLength(50);
    expect(wide).toContain('sum; min 12, max 1,500');
    expect(session).toMatchObject({ code: 0, restored: true });
  });

  test('when there are several files, then each has one line; enter opens the chosen file, and escape goes back', async () => {
    const folder = temporaryFolder();
    const { model, before } = vcpuCounted();
    const files = { vm0: { name: 'one' }, vm1: { name: 'two', state: 3 }, vm2: { name: 'three' } } as const;
    for (const [vm, options] of Object.entries(files)) {
      mkdirSync(join(folder, vm));
      writeRegion(join(folder, vm, 'metrics.region'), model, before, options);
    }
    const listed = 'vm0 +killed[\\s\\S]*vm2';
    const session = await inTerminal(
      80,
      24,
      [
        [listed, 'j'],
        [listed, '\r'],
        ['two, process', '\x1b'],
        [listed, '/crash\r'],
        ["filter 'crash'", '\x1b'],
        [listed, 'v'],
        ['vm0/metrics', { resize: [200, 24] }],
        ['', 'v'],
        ['STORE', 'q'],
      ],
      'watch',
      folder,
    );
    expect(session.code).toBe(0);
    const [first, , opened, back, filtered, , all, , wide] = session.screens.map(screenOf);
    expect(first).toContain('3 region files: 2 killed, 1 crashed');
    expect(first).toMatch(/^FILE +STATE +PROCESS +AGE +LINES +PER SECOND +FASTEST COUNTER\nvm0 +killed +4242 /m);
    expect(opened).toContain(`${folder}/vm1/metrics.region`);
    expect(opened).toMatch(/vcpu\n +exits/);
    expect(opened).not.toContain('vm0');
    for (const screen of [first, opened, back, all]) for (const line of screen!.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    expect(filtered).toMatch(/vm1 +crashed/);
    expect(filtered).not.toMatch(/vm0 +killed/);
    expect(all).toMatch(/vm0\/metrics\.region\n.*one, process 4242, was killed/);
    expect(wide).toMatch(/FASTEST COUNTER +TREND +STORE\n/);
    expect(wide).toMatch(/vm2 +killed .* three\n/);
  });

  test('when the terminal is wide or narrow, then the last line has the notes that fit, whole, and the place in the table', async () => {
    const folder = temporaryFolder();
    for (const name of ['one', 'two']) vcpuRegion(join(folder, `${name}.region`), { name });
    const session = await inTerminal(
      120,
      24,
      [
        ['one[.]region +killed', { resize: [40, 24] }],
        ['', '/tw'],
        ['filter: tw_', '\r'],
        ["filter 'tw'", '\r'],
        ['two, process', { resize: [40, 8] }],
        ['', 'a'],
        ['with zeros', '?'],
        ['Keys of', 'xq'],
      ],
      'watch',
      folder,
    );
    const lasts = session.screens.map((text) => screenOf(text).split('\n').at(-1)!);
    const [wide, narrow, typing, filtered, , small, zeros, help] = lasts.map((line) => line.trimEnd());
    expect(wide).toBe(' sorted by path   ? help   q quit   enter open   / filter   s sort   a show zeros   v all metrics');
    expect(narrow).toBe(' sorted by path   ? help   q quit');
    expect(typing).toBe(' filter: tw_');
    expect(filtered).toBe(" filter 'tw'   sorted by path   ? help");
    expect(small).toMatch(/^ sorted by schema {3}\? help +1-\d+ of \d+$/);
    expect(zeros).toMatch(/^ sorted by schema, with zeros +1-\d+ of \d+$/);
    expect(help).toBe(' any key: back');
    expect(session.screens[0]).toContain('\x1b[7m sorted by path');
    for (const [i, line] of lasts.entries()) expect(line.length).toBe(i === 0 ? 120 : 40);
  });
});

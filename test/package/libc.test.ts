// Which prebuilt addon the packed package loads, by the C library of the process. The test says what is mapped: the
// text of /proc/self/maps as Alpine, Void, Debian's musl and glibc show it. The addons that must not load are no addons
// at all.

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';

let folder: string;
let root: string;
/** The addon for this machine. */
let own: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-libc-'));
  execFileSync('tar', ['-xzf', inject('tarball'), '-C', folder]);
  root = join(folder, 'package');
  own = join(folder, 'own.node');
  const prebuilt = readdirSync(join(root, 'prebuilds', `linux-${process.arch}`)).sort();
  expect(prebuilt[0]).toBe('vmm-metrics.glibc.node');
  cpSync(join(root, 'prebuilds', `linux-${process.arch}`, prebuilt[0]!), own);
  rmSync(join(root, 'prebuilds'), { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MAPS = {
  glibc: '/usr/bin/node\n/usr/lib/x86_64-linux-gnu/libm.so.6\n/usr/lib/x86_64-linux-gnu/libc.so.6\n/lib/ld-linux-x86-64.so.2',
  'glibc of another age': '/usr/bin/node\n/lib64/libc-2.28.so\n/lib64/ld-2.28.so',
  'glibc, under a folder that is called musl': '/home/musl/node\n/opt/musl/libc.so.6\n/home/ld-musl/libc.so.node',
  Alpine: '/usr/bin/node\n/usr/lib/libstdc++.so.6\n/lib/ld-musl-x86_64.so.1',
  Void: '/usr/bin/node\n/usr/lib/libstdc++.so.6\n/usr/lib/libc.so',
  "Debian's musl": '/usr/local/bin/node\n/usr/lib/x86_64-linux-musl/libc.so',
  "Debian's musl on arm64": '/usr/local/bin/node\n/usr/lib/aarch64-linux-musl/libc.so',
} as const;
type Layout = keyof typeof MAPS;

/**
 * Opens a store of the package in a process that shows these maps, on a machine that has musl, or does not. Returns the
 * addons that were tried, and the end.
 */
function opened(
  layout: Layout | undefined,
  addons: { glibc?: 'own' | 'bad'; musl?: 'own' | 'bad' },
  hasMusl = true,
): { tried: string[]; end: string } {
  const prebuilds = join(root, 'prebuilds', `linux-${process.arch}`);
  rmSync(prebuilds, { recursive: true, force: true });
  mkdirSync(prebuilds, { recursive: true });
  for (const [libc, kind] of Object.entries(addons)) {
    const file = join(prebuilds, `vmm-metrics.${libc}.node`);
    if (kind === 'own') cpSync(own, file);
    else writeFileSync(file, 'no addon');
  }
  const lines = layout && MAPS[layout].split('\n').map((path, i) => `7f00${i}0000-7f00${i}1000 r-xp 00000000 fe:00 ${i + 10}  ${path}\n`);
  const program = `
    import fs from 'node:fs';
    const { existsSync, readFileSync } = fs;
    fs.existsSync = (path) => /^\\/lib\\/ld-musl-\\w+\\.so\\.1$/.test(path) ? ${hasMusl} : existsSync(path);
    const maps = ${JSON.stringify(lines?.join('') ?? null)};
    fs.readFileSync = (path, ...rest) => {
      if (path !== '/proc/self/maps') return readFileSync(path, ...rest);
      if (maps === null) throw new Error('not allowed');
      return maps;
    };
    const tried = [];
    const { dlopen } = process;
    process.dlopen = (module, path) => {
      if (path.startsWith(${JSON.stringify(join(root, 'prebuilds'))})) tried.push(path.match(/[^.]*(?=\\.node$)/)[0]);
      return dlopen.call(process, module, path);
    };
    const { Metrics, defineSchema, group, inc } = await import('./dist/lib/index.js');
    let end;
    try {
      const metrics = Metrics.open(defineSchema({ g: group({ n: inc('n') }) }));
      metrics.app.g.n.inc();
      end = String(metrics.app.g.n.count());
      metrics.close();
    } catch (error) {
      end = error.code + ': ' + error.message;
    }
    console.log(JSON.stringify({ tried, end }));`;
  writeFileSync(join(root, 'program.mjs'), program);
  const { stdout, stderr } = spawnSync(process.execPath, ['program.mjs'], { cwd: root, encoding: 'utf8', env: {} });
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

describe('given the packed package with an addon for glibc and one for musl', () => {
  test.each([
    { layout: 'glibc', first: 'glibc' },
    { layout: 'glibc of another age', first: 'glibc' },
    { layout: 'glibc, under a folder that is called musl', first: 'glibc' },
    { layout: 'Alpine', first: 'musl' },
    { layout: 'Void', first: 'musl' },
    { layout: "Debian's musl", first: 'musl' },
    { layout: "Debian's musl on arm64", first: 'musl' },
    { layout: undefined, first: 'glibc' },
  ] as const)('when the process shows the layout $layout, then the addon for $first is the first one and is loaded', ({
    layout,
    first,
  }) => {
    const addons = first === 'glibc' ? ({ glibc: 'own', musl: 'bad' } as const) : ({ glibc: 'bad', musl: 'own' } as const);
    expect(opened(layout, addons)).toEqual({ tried: [first], end: '1' });
  });

  test('when a program for glibc runs on a machine without musl, then the maps need not be read', () => {
    expect(opened('Alpine', { glibc: 'own', musl: 'bad' }, false)).toEqual({ tried: ['glibc'], end: '1' });
  });

  test('when the guess is wrong, then the other addon is loaded', () => {
    expect(opened('Alpine', { glibc: 'own', musl: 'bad' })).toEqual({ tried: ['musl', 'glibc'], end: '1' });
    expect(opened(undefined, { glibc: 'bad', musl: 'own' })).toEqual({ tried: ['glibc', 'musl'], end: '1' });
  });

  test('when neither can be loaded, then the error names both, with the reasons', () => {
    const { tried, end } = opened('Alpine', { glibc: 'bad', musl: 'bad' });
    expect(tried).toEqual(['musl', 'glibc']);
    expect(end).toMatch(/^ERR_METRICS_NATIVE: .*musl\.node cannot be loaded: .*(too short|invalid ELF).*glibc\.node cannot be loaded: .*/s);
  });

  test('when there is none, then the error names both and the folders', () => {
    const { tried, end } = opened('glibc', {});
    expect(tried).toEqual(['glibc', 'musl']);
    expect(end).toMatch(/^ERR_METRICS_NATIVE: There is no native addon for linux-\w+, .*; looked in .*prebuilds\/linux-/);
    expect(end).toContain('vmm-metrics.glibc.node, vmm-metrics.musl.node');
  });
});

// The package in programs that a bundler made. With the addon beside it, a program works; without the addon, an error
// says what to do. Each program is moved away from the package, as if to another machine.

import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { rollup } from 'rollup';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import webpack from 'webpack';

import { node, runProgram } from './helpers/children.ts';

const root = resolve(import.meta.dirname, '..');
const addon = join(root, 'build/Release/vmm_metrics.node');

/** Opens metrics through the package and prints the result. */
const PROGRAM = `
import { Metrics, defineSchema, group, inc, readRegion } from 'vmm-metrics';
export * from 'vmm-metrics';
console.log('imported');
try {
  const metrics = Metrics.open(defineSchema({ g: group({ n: inc('n') }) }), JSON.parse(process.argv[2] ?? '{}'));
  metrics.app.g.n.inc();
  console.log('counted', String(metrics.app.g.n.count()));
} catch (error) {
  console.log(error.name, error.code, error.message);
}
`;

let folder: string;
/** The package as a bundler reads it. It is removed before the programs run. */
let source: string;
let entry: string;

const bundlers: Record<string, (file: string) => Promise<unknown>> = {
  'esbuild to cjs': (outfile) =>
    build({ entryPoints: [entry], bundle: true, platform: 'node', format: 'cjs', outfile, logLevel: 'error', nodePaths: [source] }),
  'esbuild to esm': (outfile) =>
    build({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', outfile, logLevel: 'error', nodePaths: [source] }),
  'rollup to esm': async (file) => (await rolledUp()).write({ file, format: 'es' }),
  'rollup to cjs': async (file) => (await rolledUp()).write({ file, format: 'cjs' }),
  webpack: (file) =>
    new Promise((done, fail) => {
      const compiler = webpack({
        mode: 'production',
        target: 'node',
        entry,
        output: { path: join(file, '..'), filename: file.slice(file.lastIndexOf('/') + 1) },
        resolve: { modules: [source] },
      });
      compiler.run((error, stats) => {
        if (error || stats?.hasErrors()) fail(error ?? new Error(stats?.toString()));
        else compiler.close(done as () => void);
      });
    }),
};
const extension = (name: string) => (name.endsWith('esm') ? 'mjs' : 'cjs');
const slug = (name: string) => name.replaceAll(' ', '-');

function rolledUp() {
  const resolveId = (id: string) => (id === 'vmm-metrics' ? join(source, 'vmm-metrics/dist/lib/index.js') : null);
  return rollup({ input: entry, external: /^node:/, plugins: [{ name: 'package', resolveId }], onwarn: () => {} });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-bundlers-'));
  source = join(folder, 'node_modules');
  const installed = join(source, 'vmm-metrics');
  mkdirSync(installed, { recursive: true });
  cpSync(join(root, 'dist/lib'), join(installed, 'dist/lib'), { recursive: true });
  cpSync(join(root, 'package.json'), join(installed, 'package.json'));
  entry = join(folder, 'entry.mjs');
  writeFileSync(entry, PROGRAM);
  for (const [name, bundle] of Object.entries(bundlers)) {
    const out = join(folder, slug(name));
    mkdirSync(out);
    await bundle(join(out, `program.${extension(name)}`));
  }
  renameSync(source, join(folder, 'elsewhere'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a program of the folder with the Node that is tested. */
const run = (file: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}, execArgv: readonly string[] = []) =>
  runProgram(node, [...execArgv, join(folder, file), ...args], { cwd: tmpdir(), env: { PATH: process.env['PATH'], ...env } });

describe.each(Object.keys(bundlers))('given a program that %s bundled, far from the package', (name) => {
  const program = () => `${slug(name)}/program.${extension(name)}`;

  test('when there is no addon, then the package can be imported, and the error of open() lists what was tried and what to do', async () => {
    const { stdout, stderr } = await run(program());
    expect(stderr).toBe('');
    const [imported, error] = stdout.split('\n');
    expect(imported).toBe('imported');
    expect(error).toMatch(/^MetricsError ERR_METRICS_NATIVE There is no native addon for linux-\w+, Node v[\d.]+; looked in /);
    expect(error).toContain(`${join(folder, slug(name))}`);
    expect(error).toMatch(
      /mark 'vmm-metrics' as external.*next to the bundle.*VMM_METRICS_ADDON.*Metrics\.open\(schema, \{ addon: path \}\)/,
    );
  });

  test('when the variable or the option names the addon, then the program works', async () => {
    expect(await run(program(), [], { VMM_METRICS_ADDON: addon })).toMatchObject({ stdout: 'imported\ncounted 1\n', stderr: '' });
    expect(await run(program(), [JSON.stringify({ addon })])).toMatchObject({ stdout: 'imported\ncounted 1\n', stderr: '' });
  });

  test('when the addon lies beside the program, then the program works', async () => {
    const beside = join(folder, slug(name), 'vmm_metrics.node');
    symlinkSync(addon, beside);
    try {
      expect(await run(program())).toMatchObject({ stdout: 'imported\ncounted 1\n', stderr: '' });
    } finally {
      rmSync(beside);
    }
  });
});

test('given a bundle in a vm context, whose Symbol may lack dispose, when it is used there, then it works, and no method is called undefined', async () => {
  const out = join(folder, slug('esbuild to cjs'), 'program.cjs');
  writeFileSync(
    join(folder, 'context.cjs'),
    `const { createContext, runInContext } = require('node:vm');
     const { readFileSync } = require('node:fs');
     const lacking = { require, module: { exports: {} }, process, console, Buffer, TextEncoder, TextDecoder };
     const context = createContext({ ...lacking, performance, URL, setTimeout, clearTimeout, setImmediate, clearImmediate });
     runInContext(readFileSync(${JSON.stringify(out)}, 'utf8'), context);
     const text = \`(() => {
       const { Metrics, defineSchema, group, inc, latency } = module.exports;
       const metrics = Metrics.open(defineSchema({ g: group({ n: inc('n'), t: latency('t') }) }), { name: 'vm', properties: { a: '1' } });
       metrics.init('/dev/null');
       metrics.captureSignals({ signals: ['SIGUSR2'] });
       metrics.capturePanics();
       metrics.app.g.n.add(2);
       const record = metrics.app.g.t.record();
       const names = [metrics, record].flatMap((one) => Reflect.ownKeys(Object.getPrototypeOf(one)));
       console.log(metrics.write(), String(metrics.snapshot().g.n), names.includes('undefined'));
       metrics.close();
     })()\`;
     runInContext(text, context);`,
  );
  const { stdout, stderr } = await run('context.cjs', [], { VMM_METRICS_ADDON: addon });
  expect({ stdout, stderr }).toEqual({ stdout: 'imported\ncounted 1\ntrue 2 false\n', stderr: '' });
});

describe('given the package without a bundler', () => {
  const program = join(root, 'dist/lib/index.js');
  const text = (options: object) =>
    PROGRAM.replaceAll("'vmm-metrics'", JSON.stringify(program)).replace(
      "process.argv[2] ?? '{}'",
      JSON.stringify(JSON.stringify(options)),
    );
  const runText = (options: object, env: NodeJS.ProcessEnv, execArgv: readonly string[] = []) => {
    writeFileSync(join(folder, 'program.mjs'), text(options));
    return run('program.mjs', [], env, execArgv);
  };

  test.each([
    {
      what: 'is not there',
      path: '/no/addon.node',
      says: /that the environment variable VMM_METRICS_ADDON names, on .*: \/no\/addon\.node /,
    },
    { what: 'is no addon', path: join(root, 'package.json'), says: /VMM_METRICS_ADDON names, on .*: .*package\.json cannot be loaded: / },
  ])('when the file that the variable names $what, then an error says so, and no other file is loaded', async ({ path, says }) => {
    const { stdout } = await runText({}, { VMM_METRICS_ADDON: path });
    expect(stdout).toMatch(/ERR_METRICS_NATIVE/);
    expect(stdout).toMatch(says);
  });

  test('when the option names an addon, then the option overrides the variable', async () => {
    expect(await runText({ addon }, { VMM_METRICS_ADDON: '/no/addon.node' })).toMatchObject({ stdout: 'imported\ncounted 1\n' });
    const { stdout } = await runText({ addon: '/no/addon.node' }, { VMM_METRICS_ADDON: addon });
    expect(stdout).toMatch(/ERR_METRICS_NATIVE .* that the option 'addon' names, on .*: \/no\/addon\.node /);
  });

  test('when an addon of another version is found, then the error names both versions and the file', async () => {
    const other = join(root, 'test/addon/build/Release/vmm_test.node');
    const { stdout } = await runText({ addon: other }, {});
    expect(stdout).toMatch(
      /ERR_METRICS_NATIVE The native addon .*vmm_test\.node has no version, and this JavaScript belongs to vmm-metrics \d+\./,
    );
  });

  test('when Node may read only the program and the package, then the program works', async () => {
    const flag = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission';
    const narrow = [
      flag,
      '--allow-addons',
      `--allow-fs-read=${join(root, 'dist/lib')}/*`,
      `--allow-fs-read=${join(folder, 'program.mjs')}`,
    ];
    narrow.push(`--allow-fs-read=${join(root, 'package.json')}`, `--allow-fs-read=${join(folder, 'package.json')}`);
    const { stdout } = await runText({}, {}, [...narrow, '--no-warnings']);
    expect(stdout).toBe('imported\ncounted 1\n');
  });

  test('when Node allows no addons, then the error says how to allow them', async () => {
    const { stdout } = await runText({}, {}, ['--no-addons']);
    expect(stdout).toMatch(/ERR_METRICS_NATIVE Node does not allow addons here: .* --allow-addons/);
  });
});

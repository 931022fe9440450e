// vmm-metrics codegen: the C++ header of a schema.

import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

import { headerOf } from '../lib/codegen/header.ts';
import { cppNames, isNamespace } from '../lib/codegen/names.ts';
import { layoutOf } from '../lib/layout.ts';
import { defineSchema, group, histogram, inc, latency, perDevice, store } from '../lib/schema.ts';
import { cli, oneLine } from './helpers/command.ts';
import { compile, STRICT } from './helpers/compiler.ts';
import { temporaryFolder } from './helpers/workplace.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A folder with a schema of its own, whose package is this one. */
function project(schema: string): { folder: string; file: string } {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules/vmm-metrics'));
  const file = join(folder, 'schema.mjs');
  writeFileSync(file, `import { defineSchema, group, inc, latency, perDevice, store } from 'vmm-metrics';\n${schema}\n`);
  return { folder, file };
}
const small = 'export default defineSchema({ g: group({ n: inc("what n counts") }) });';

describe('given the headers in this repository', () => {
  test.each([
    { header: 'examples/native-writers/metrics.gen.h', args: ['examples/native-writers/schema.mjs'] },
    { header: 'examples/kvm-vmm/native/metrics.gen.h', args: ['vmm-metrics/firecracker', '--export', 'firecrackerX86_64'] },
  ])('when $header is written again, then nothing changes', async ({ header, args }) => {
    expect(await cli('codegen', ...args, '-o', join(root, header), '--check')).toEqual({ code: 0, stdout: '', stderr: '' });
  });
});

describe('given a schema', () => {
  test('when its header is written, then a second time gives the same text, and leaves an unchanged file alone', async () => {
    const { folder, file } = project(small);
    const output = join(folder, 'm.gen.h');
    expect(await cli('codegen', file, '-o', output)).toEqual({ code: 0, stdout: '', stderr: '' });
    const text = readFileSync(output, 'utf8');
    expect(text).toContain('// what n counts\ninline constexpr ::vmm_metrics::IncMetric n{::vmm_metrics_metric{0}};');
    utimesSync(output, 1, 1);
    expect((await cli('codegen', file, '-o', output)).code).toBe(0);
    expect(statSync(output).mtimeMs).toBe(1000);
    const printed = await cli('codegen', file, '-o', '-');
    expect(printed).toEqual({ code: 0, stdout: text, stderr: '' });
  });

  test('when --check finds an older header, then it names the line, exits with 1, and writes nothing', async () => {
    const { folder, file } = project(small);
    const output = join(folder, 'm.gen.h');
    const missing = await cli('codegen', file, '-o', output, '--check');
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringMatching(/m\.gen\.h does not exist, or cannot be read\n$/) });
    expect(existsSync(output)).toBe(false);
    await cli('codegen', file, '-o', output);
    const older = readFileSync(output, 'utf8').replace('what n counts', 'something else');
    writeFileSync(output, older);
    const { code, stderr } = await cli('codegen', file, '-o', output, '--check');
    const line = older.split('\n').indexOf('// something else') + 1;
    expect(stderr).toMatch(oneLine);
    expect(stderr).toContain(`m.gen.h is out of date from line ${line} on`);
    expect(code).toBe(1);
    expect(readFileSync(output, 'utf8')).toBe(older);
  });

  test('when an export or a namespace is named, then the header is of that schema, in that namespace', async () => {
    const { file } = project(`${small}\nexport const other = defineSchema({ h: group({ m: inc("") }) });\nexport const x = 1;`);
    const { stdout } = await cli('codegen', file, '-o', '-', '--export', 'other', '--namespace', 'vm::counts');
    expect(stdout).toMatch(/^namespace vm::counts \{$/m);
    expect(stdout).toMatch(/^namespace h \{$/m);
    expect(stdout).not.toMatch(/^namespace g \{$/m);
    const choose = 'it exports the schemas default, other; choose with --export';
    expect((await cli('codegen', file, '-o', '-', '--export', 'x')).stderr).toContain(`'${file}' is no schema: ${choose}`);
    expect((await cli('codegen', file, '-o', '-', '--export', 'y')).stderr).toContain(`'${file}' does not exist: ${choose}`);
  });
});

test.each([
  { args: [], says: 'codegen: SCHEMA.js is missing', code: 2 },
  { args: ['s.js'], says: 'codegen: -o FILE.gen.h is missing', code: 2 },
  { args: ['s.js', '-o', ''], says: 'codegen: FILE.gen.h must not be empty', code: 2 },
  { args: ['s.js', '-o', '-', '--check'], says: 'codegen: --check needs a file to compare, not -', code: 2 },
  { args: ['s.js', '-o', 'x', '--namespace', 'class'], says: "--namespace must be a name of C++; got 'class'", code: 2 },
  { args: ['/nowhere/s.js', '-o', '-'], says: "Cannot load '/nowhere/s.js': ", code: 1 },
  { args: ['no-such-package', '-o', '-'], says: "Cannot load 'no-such-package': ", code: 1 },
])('given codegen with $args, when it runs, then it says what is wrong in one line', async ({ args, says, code }) => {
  const end = await cli('codegen', ...args);
  expect(end.stderr).toContain(says);
  expect(end.stderr).toMatch(oneLine);
  expect(end.code).toBe(code);
});

test('given names that C++ keeps for itself, when they become names of C++, then each gets an underscore, and all differ', () => {
  const names = cppNames(['class', 'class_', 'count', 'errno', 'linux', 'own'], ['own']);
  expect(Object.fromEntries(names)).toEqual({
    class: 'class__',
    class_: 'class_',
    count: 'count',
    errno: 'errno_',
    linux: 'linux_',
    own: 'own_',
  });
  expect(['metrics', 'a::b_1', '_x'].filter(isNamespace)).toHaveLength(3);
  expect(['', 'a b', 'a::', '1a', 'new', 'a::new', 'a:b'].filter(isNamespace)).toEqual([]);
});

test('given a schema with every difficulty, when its header is compiled strictly, then there is no error and no warning', () => {
  const many = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`m${i}`, inc('')]));
  const schema = defineSchema({
    attach: group({ default: inc('ends in a backslash \\'), errno: store('*/ "??/'), linux: latency('a\nb\tc\u0001 é') }),
    std: group({ string: inc('std is a group') }),
    vmm_metrics: group({ IncMetric: inc('') }),
    vmm_metrics_store: group({ store: store('') }),
    facts: group({ facts: inc('x '.repeat(400)) }),
    far: group({ ...many, far_time: latency('the metrics of this group reach beyond cell 512') }),
    register: perDevice({ Device: inc(''), handle: inc(''), alloc: inc(''), device: store(''), id: latency('') }),
    big: perDevice(many),
    many: perDevice({ size: histogram('sizes', { unit: 'bytes' }), time: latency('times', { histogram: true }) }),
    buckets: group({ time: histogram('times', { unit: 'us', relativeError: 0.2 }), other: latency('times', { histogram: true }) }),
  });
  const header = headerOf(layoutOf(schema), { namespace: 'vm::metrics', source: 'x', fingerprint: 1n });
  expect(Math.max(...header.split('\n').map((line) => line.length))).toBeLessThanOrEqual(130);
  const folder = temporaryFolder();
  writeFileSync(`${folder}/m.gen.h`, header);
  writeFileSync(
    `${folder}/uses.cc`,
    `#include "m.gen.h"
    #include "m.gen.h"
    using vmm_metrics::Shard;
    void Use(napi_env env, napi_value external, const Shard& shard) {
      vmm_metrics_store store;
      const std::string problem = vm::metrics::attach(env, external, &store);
      vm::metrics::attach_::default_.inc(shard);
      vm::metrics::attach_::errno_.store(shard, 1);
      vm::metrics::attach_::linux_.observe_ns(shard, 1);
      vm::metrics::std::string.inc(shard);
      vm::metrics::vmm_metrics::IncMetric.add(shard, 2);
      vm::metrics::vmm_metrics_store::store.store(shard, 2);
      vm::metrics::facts_::facts.inc(shard);
      vm::metrics::far::m599.add(shard, 3);
      const vmm_metrics::LatencyRecord record(shard, vm::metrics::far::far_time);
      auto device = vm::metrics::register_::alloc(store, "a");
      device.Device_.inc(shard);
      device.handle.inc(shard);
      device.alloc.inc(shard);
      device.device.store(shard, 4);
      device.id.observe(shard, 5);
      vm::metrics::register_::release(store, device);
      vm::metrics::register_::remove(store, "a");
      std::string why;
      vm::metrics::buckets_::time.observe_ns(shard, 1);
      const vmm_metrics::HistogramRecord timed(shard, vm::metrics::buckets_::other);
      auto measured = vm::metrics::many::alloc(store, "a");
      measured.size.observe(shard, 5);
      measured.time.observe_ns(shard, 5);
      vm::metrics::big::alloc(store, std::string("b"), &why).m599.inc(shard);
    }`,
  );
  const { code, said } = compile('c++', '-std=gnu++17', ...STRICT, '-fsyntax-only', `${folder}/uses.cc`);
  expect(said).toBe('');
  expect(code).toBe(0);
});

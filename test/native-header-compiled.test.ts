// The public header of native code, as compilers see it: warnings, errors, and the machine code of an increment.

import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';

import { compile, instructionsOf, STRICT } from './helpers/compiler.ts';
import { temporaryFolder } from './helpers/workplace.ts';

const SAMPLE = '-Iexamples/native-writers';

test.each([
  { language: 'c', standard: 'c11' },
  { language: 'c', standard: 'gnu17' },
  { language: 'c++', standard: 'c++17' },
] as const)('given the header, when it is compiled as $standard with every warning, then there is none', ({ language, standard }) => {
  const file = `${temporaryFolder()}/all.o`;
  // As C++ too, so that functions which C cannot have are compiled as well.
  const { code, said } = compile(language, `-std=${standard}`, ...STRICT, '-O2', '-x', language, '-c', 'include/vmm_metrics.c', '-o', file);
  expect(said).toBe('');
  expect(code).toBe(0);
});

test('given the functions of the header as symbols, when they are listed, then none is missing', () => {
  const file = `${temporaryFolder()}/symbols.o`;
  expect(compile('c', '-std=c11', '-O2', '-c', 'include/vmm_metrics.c', '-o', file).code).toBe(0);
  const symbols = [...instructionsOf(file).keys()];
  const headers = ['vmm_metrics.h', 'vmm_metrics_write.h'].map((name) => readFileSync(`include/${name}`, 'utf8'));
  const names = [...headers.join('').matchAll(/^VMM_METRICS_API [^(]*?(vmm_metrics_\w+)\(/gm)].map(([, name]) => name!);
  expect(names).toEqual(expect.arrayContaining(['vmm_metrics_attach', 'vmm_metrics_histogram_observe_ns', 'vmm_metrics_watch_kvm']));
  expect(symbols).toEqual(expect.arrayContaining(names));
  // What the module for Rust links.
  const rust = readFileSync('include/vmm_metrics_c.rs', 'utf8');
  expect(names).toEqual(expect.arrayContaining([...rust.matchAll(/fn (vmm_metrics_\w+)\(/g)].map(([, name]) => name!)));
});

test('given wrong uses of a generated header, when they are compiled, then each is an error in its own line', () => {
  const uses = [
    { code: 'metrics::vcpu::exit_io_out.inc(shard);', error: undefined },
    { code: 'metrics::vcpu::exit_io_uot.inc(shard);', error: 'exit_io_uot' }, // misspelt
    { code: 'metrics::vcpo::exit_io_out.inc(shard);', error: 'vcpo' },
    { code: 'metrics::vcpu::state.inc(shard);', error: "no member named 'inc'" }, // a wrong kind
    { code: 'metrics::vcpu::exit_io_out.store(shard, 1);', error: "no member named 'store'" },
    { code: 'metrics::vcpu::exit_io_out_agg.add(shard, 1);', error: "no member named 'add'" },
    { code: 'const vmm_metrics::LatencyRecord record(shard, metrics::vcpu::exit_io_out);', error: 'no matching function' },
    { code: 'void For(const metrics::pmem::Device&); For(other);', error: 'metrics::pmem::Device' }, // another group's device
    { code: 'metrics::pmem::release(store, other);', error: 'metrics::pmem::Device' },
    { code: 'auto drive = metrics::pmem::alloc(store, "drv0"); drive.event_fail.inc(shard);', error: 'event_fail' },
    { code: 'drive.event_fails.inc(shard);', error: undefined },
    { code: 'vmm_metrics::Shard copy = shard;', error: 'deleted' },
    { code: 'vmm_metrics::Shard empty; empty = vmm_metrics::Shard::current(store);', error: undefined },
  ];
  const file = `${temporaryFolder()}/wrong.cc`;
  const before = [
    '#include "metrics.gen.h"',
    'namespace net { struct Device : vmm_metrics::Device {}; }',
    'void Use(const vmm_metrics_store& store, const vmm_metrics::Shard& shard, const net::Device& other) {',
  ];
  writeFileSync(file, [...before, ...uses.map(({ code }) => code), '}', ''].join('\n'));
  const { code, said } = compile('c++', '-std=c++17', '-fsyntax-only', SAMPLE, file);
  expect(code).not.toBe(0);
  const plain = said.replaceAll(/[‘’]/g, "'").replaceAll('has no member named', 'no member named');
  uses.forEach(({ code, error }, i) => {
    const line = before.length + i + 1;
    const errors = plain.split('\n').filter((text) => text.startsWith(`${file}:${line}:`) && text.includes(': error: '));
    if (error === undefined) expect(errors, code).toEqual([]);
    else expect(errors.join('\n'), code).toContain(error);
  });
});

test.runIf(process.arch === 'x64')('given a constant of a generated header, when it is incremented, then that is one add to memory', () => {
  const folder = temporaryFolder();
  writeFileSync(
    `${folder}/inc.cc`,
    `#include "metrics.gen.h"
    extern "C" void own(const vmm_metrics::Shard& shard) {
      if (shard.own() == nullptr) __builtin_unreachable();
      metrics::vcpu::exit_io_out.inc(shard);
    }
    extern "C" void any(const vmm_metrics::Shard& shard) { metrics::vcpu::exit_io_out.inc(shard); }
    extern "C" void device(const vmm_metrics::Shard& shard, const metrics::pmem::Device& drive) { drive.event_fails.add(shard, 7); }
    `,
  );
  expect(compile('c++', '-std=c++17', '-O2', '-fcf-protection=none', SAMPLE, '-c', `${folder}/inc.cc`, '-o', `${folder}/inc.o`).code).toBe(
    0,
  );
  const functions = instructionsOf(`${folder}/inc.o`);
  // Where the shard is this thread's own: the base of its cells into a register, and one add.
  expect(functions.get('own')!.slice(0, 3)).toEqual(['mov (%rdi),%rax', 'addq $0x1,(%rax)', 'ret']);
  // Any shard: the straight path has a test more, and the locked add of the shared shard is behind it.
  const any = functions.get('any')!;
  expect(any.slice(0, 5)).toEqual(['mov (%rdi),%rax', 'test %rax,%rax', expect.stringMatching(/^je /), 'addq $0x1,(%rax)', 'ret']);
  expect(any.filter((text) => text.includes('add') && !text.startsWith('lock'))).toHaveLength(1);
  expect(any.filter((text) => text.startsWith('lock add'))).toHaveLength(1);
  const device = functions.get('device')!;
  expect(device.filter((text) => /^addq \$0x7,\(%\w+,%\w+,1\)$/.test(text))).toHaveLength(1);
  expect(device.some((text) => text.startsWith('call'))).toBe(false);
});

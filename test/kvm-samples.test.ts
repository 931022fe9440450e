// The samples of docs/kvm.md, as their compilers see them.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { compile, root, STRICT } from './helpers/compiler.ts';
import { shownBlocks } from './helpers/shown-blocks.ts';
import { temporaryFolder } from './helpers/workplace.ts';

const blocks = shownBlocks(readFileSync(join(root, 'docs/kvm.md'), 'utf8'));
/** The blocks of a language; the test knows how many there are. */
function textsOf(language: string, count: number): string[] {
  const texts = blocks.filter((block) => block.language === language).map(({ text }) => text);
  expect(texts).toHaveLength(count);
  return texts;
}

describe('given the samples of the page about KVM', () => {
  test('when the JavaScript is checked with the types of the package, then there is no error', () => {
    const [program, fields] = textsOf('js', 2);
    const folder = temporaryFolder();
    writeFileSync(
      join(folder, 'sample.mts'),
      `${program}
declare const vmDescriptor: number, vcpuDescriptor: number;
if (kvm) defineSchema({
${fields}});
`,
    );
    const typesOf = (name: string) => [join(root, 'dist/lib', `${name}.d.ts`)];
    const compilerOptions = {
      ...{ module: 'nodenext', target: 'es2023', strict: true, noEmit: true, skipLibCheck: true, lib: ['es2023', 'esnext.disposable'] },
      ...{ typeRoots: [join(root, 'node_modules/@types')], types: ['node'] },
      paths: { 'vmm-metrics': typesOf('index'), 'vmm-metrics/kvm': typesOf('kvm') },
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['sample.mts'] }));
    const { status, stdout } = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], {
      encoding: 'utf8',
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });

  test('when the C is compiled, then there is no error or warning', () => {
    const [statements] = textsOf('c', 1);
    const file = join(temporaryFolder(), 'sample.c');
    const head =
      'void Watch(vmm_metrics_store store, int vm_fd, int vcpu_fd);\nvoid Watch(vmm_metrics_store store, int vm_fd, int vcpu_fd) {';
    writeFileSync(file, `#include "vmm_metrics.h"\n${head}\n${statements}}\n`);
    expect(compile('c', '-std=gnu17', '-fsyntax-only', ...STRICT, file)).toEqual({ code: 0, said: '' });
  });

  test('when the Rust is compiled, then there is no error or warning', (context) => {
    if (spawnSync('rustc', ['--version']).status !== 0) context.skip('there is no rustc, which compiles the sample in Rust');
    const [statements] = textsOf('rust', 1);
    const folder = temporaryFolder();
    const file = join(folder, 'sample.rs');
    writeFileSync(
      file,
      `use std::os::unix::io::{AsFd, OwnedFd};
#[path = ${JSON.stringify(join(root, 'include/vmm_metrics.rs'))}]
mod vmm_metrics;
pub fn watch(store: &vmm_metrics::Store, vm: OwnedFd, vcpu: OwnedFd) -> Result<(), vmm_metrics::Error> {
${statements}Ok(())
}
`,
    );
    const { status, stderr } = spawnSync(
      'rustc',
      ['--edition', '2021', '--crate-type', 'lib', '--emit', 'metadata', '--out-dir', folder, file],
      { encoding: 'utf8' },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});

// Looks into a prebuilt addon with readelf, and names everything that is not as it must be.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';

import { BYTES_MAX, GLIBC_MAX, PACKED_BYTES_MAX } from './targets.mjs';

const root = resolve(import.meta.dirname, '../..');

const readelf = (...args) => execFileSync('readelf', ['-W', ...args], { encoding: 'utf8', maxBuffer: 1 << 26 });
const matches = (text, pattern) => [...text.matchAll(pattern)].map(([, found]) => found);

/** The newest of versions such as `2.28`; `undefined` if there is none. */
function newest(versions) {
  const key = (version) => [0, 1, 2].reduce((sum, i) => sum * 1000 + Number(version.split('.')[i] ?? 0), 0);
  return versions.toSorted((a, b) => key(a) - key(b)).at(-1);
}

/** The names that the addon must export: those of the linker's list. */
function exportsOf(folder) {
  const list = readFileSync(join(folder, 'native/node/exports.map'), 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '');
  return matches(list, /^\s+(\w+);$/gm).sort();
}

/** The facts about an addon. */
export function inspect(path) {
  const dynamic = readelf('--dynamic', path);
  const symbols = readelf('--dyn-syms', path).split('\n');
  const exported = symbols.filter((line) => /\b(GLOBAL|WEAK|UNIQUE)\b/.test(line) && !/\bUND\b/.test(line) && /^\s+\d+:/.test(line));
  const bytes = readFileSync(path);
  return {
    bytes: bytes.length,
    packedBytes: gzipSync(bytes, { level: 9 }).length,
    machine: /Machine:\s+(.*)/.exec(readelf('--file-header', path))?.[1],
    needs: matches(dynamic, /\(NEEDED\).*\[(.*)\]/g),
    flags: /\(FLAGS_1\)\s+Flags: (.*)/.exec(dynamic)?.[1].split(' ') ?? [],
    versions: [...new Set(matches(readelf('--version-info', path), /Name: (\w+_[\d.]+)/g))],
    exports: exported.map((line) => line.trim().split(/\s+/)[7].split('@')[0]).sort(),
    hasTextRelocations: /\(TEXTREL\)/.test(dynamic),
    paths: [root, homedir(), tmpdir(), '/home/', '/root/'].filter((folder) => folder !== '/' && bytes.includes(`${folder}`)),
  };
}

/** The newest version of glibc that the addon asks for; `-` for musl, which has no versions. */
export const glibcOf = ({ versions }) => newest(matches(versions.join(' '), /GLIBC_([\d.]+)/g)) ?? '-';

/** What is wrong with the size of all addons together: sentences. */
export function faultsOfAll(facts) {
  const bytes = facts.reduce((sum, { packedBytes }) => sum + packedBytes, 0);
  return bytes <= PACKED_BYTES_MAX ? [] : [`the addons have ${bytes} bytes in the package, more than ${PACKED_BYTES_MAX}`];
}

/** What is wrong with the addon of a target: sentences. */
export function faultsOf(target, facts, folder = root) {
  const faults = [];
  const expect = (is, sentence) => is || faults.push(`${target.file} ${sentence}`);
  expect(facts.machine === target.machine, `is for ${facts.machine}, not ${target.machine}`);
  expect(facts.bytes <= BYTES_MAX, `has ${facts.bytes} bytes, more than ${BYTES_MAX}`);
  const strange = facts.needs.filter((name) => !target.needs.includes(name));
  expect(strange.length === 0, `needs ${strange.join(', ')}`);
  const other = facts.versions.filter((version) => !version.startsWith('GLIBC_'));
  expect(other.length === 0, `needs symbols of the versions ${other.join(', ')}`);
  const glibc = glibcOf(facts);
  const isOldEnough = target.triple.includes('musl') ? glibc === '-' : glibc !== '-' && newest([glibc, GLIBC_MAX]) === GLIBC_MAX;
  expect(isOldEnough, `needs symbols of glibc ${glibc}`);
  const names = exportsOf(folder);
  expect(`${facts.exports}` === `${names}`, `exports ${facts.exports.join(', ')}; it must export ${names.join(', ')}`);
  for (const flag of ['NOW', 'NODELETE']) expect(facts.flags.includes(flag), `is not linked with ${flag}`);
  expect(!facts.hasTextRelocations, 'has relocations in its code');
  expect(facts.paths.length === 0, `contains the paths ${facts.paths.join(', ')}`);
  return faults;
}

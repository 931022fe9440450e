// Everything that the documents name exists: files, scripts, sections, names in the code, environment variables.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../', import.meta.url));
const textOf = (path: string) => readFileSync(join(root, path), 'utf8');
const filesIn = (...folders: string[]) =>
  execFileSync('find', [...folders, '-type', 'f', '-not', '-path', '*/build/*', '-not', '-path', '*/obj/*'], {
    cwd: root,
    encoding: 'utf8',
  }).split('\n');

const TOP = ['bench', 'contrib', 'docs', 'examples', 'include', 'lib', 'native', 'prebuilds', 'scripts', 'test'];
const sources = filesIn(...TOP).filter((file) => /\.(ts|mjs|cc|h|c|sh|py|gyp|md)$|Makefile$/.test(file));
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'SECURITY.md',
  ...sources.filter((file) => /^(docs|contrib|examples|prebuilds)\/.*\.md$/.test(file)),
];

/** The texts between backticks in a document, without its code blocks. */
const quoted = (document: string) => [...textOf(document).matchAll(/`([^`\n]+)`/g)].map(([, text]) => text!);

describe.each(documents)('given %s', (document) => {
  const text = textOf(document);

  test('when it links to a file or a section, then the target exists', () => {
    for (const [, path, section] of text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)) {
      const target = path === '' ? document : join(dirname(document), path!);
      expect(existsSync(join(root, target)), target).toBe(true);
      if (section !== undefined) expect(sectionsOf(target), `${target}#${section}`).toContain(section);
    }
  });

  test('when it names a path of this repository, then the path exists', () => {
    // Placeholders such as lib/cli/NAME.ts are in capitals.
    const paths = [...text.matchAll(new RegExp(`(?<![\\w./:-])(?:${TOP.join('|')})/[\\w.@/-]*`, 'g'))].map(([path]) => path);
    const missing = paths
      .map((path) => path.replace(/[.-]+$/, ''))
      .filter((path) => !/[A-Z]{4}\.ts$/.test(path) && !existsSync(join(root, path)) && !existsSync(join(root, dirname(document), path)));
    expect(missing).toEqual([]);
  });

  test('when it names a script of package.json, then the script exists', () => {
    const scripts = Object.keys(JSON.parse(textOf('package.json')).scripts);
    for (const [, script] of text.matchAll(/npm run (?:--silent )?([a-z:]+)/g)) expect(scripts).toContain(script);
  });
});

function sectionsOf(document: string): string[] {
  const headings = [...textOf(document).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading!);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test('given the documents, when they name a class or a function, then the code defines it', () => {
  const words = new Set(sources.filter((file) => !file.endsWith('.md')).flatMap((file) => textOf(file).match(/\w+/g) ?? []));
  const named = documents
    .filter((document) => document !== 'CHANGELOG.md')
    .flatMap((document) => quoted(document).map((name) => ({ document, name })))
    .filter(({ name }) => /^(?:[a-z_]+::)?(?:[A-Z][a-z]+){2,}(?:\(\))?$|^(?:[A-Z]\w+::)+\w+(?:\(\))?$/.test(name));
  const unknown = named.filter(({ name }) => name.match(/\w+/g)!.some((word) => !words.has(word)));
  expect(unknown).toEqual([]);
  expect(named.length).toBeGreaterThan(5);
});

describe('given the environment variables VMM_METRICS_...', () => {
  const code = [
    ...sources.filter((file) => /^(lib|native|test|scripts|bench|examples)\//.test(file) && !file.endsWith('.md')),
    'package.json',
  ];
  // A name in quotes, or behind a dot or a dollar, is a variable; a bare name is a macro of include/vmm_metrics.h.
  const read = code.flatMap((file) =>
    [...textOf(file).matchAll(/(?:['"]|env\.|\$\{?)(VMM_METRICS_[A-Z]+(?:_[A-Z]+)*)\b/g)].map(([, name]) => name!),
  );
  const macros = new Set(textOf('include/vmm_metrics.h').match(/\bVMM_METRICS_[A-Z_]+\b/g));
  const documented = documents.flatMap((document) => textOf(document).match(/\bVMM_METRICS_[A-Z]+(?:_[A-Z]+)*\b/g) ?? []);

  test('when the code reads a variable, then the table in CONTRIBUTING.md lists it', () => {
    const table = new Set([...textOf('CONTRIBUTING.md').matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name!));
    expect([...new Set(read)].filter((name) => !macros.has(name) && !table.has(name))).toEqual([]);
    expect(new Set(read).size).toBeGreaterThan(6);
  });

  test('when a document names a variable, then the code reads it', () => {
    expect(documented.filter((name) => !macros.has(name) && !read.includes(name))).toEqual([]);
  });
});

test('given the warnings that the code gives, when they are compared with the table in the guide, then both have the same ones', () => {
  const given = sources
    .filter((file) => file.startsWith('lib/'))
    .flatMap((file) => [...textOf(file).matchAll(/'(METRICS_[A-Z_]+)'/g)].map(([, code]) => code!));
  const listed = [...textOf('docs/guides/vmm-author.md').matchAll(/^\| `(METRICS_\w+)`/gm)].map(([, code]) => code!);
  expect(listed.sort()).toEqual([...new Set(given)].sort());
});

// The API reference that `npm run docs` makes from the doc comments.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import * as surface from 'vmm-metrics';

import { node } from './helpers/children.ts';
import { temporaryFolder } from './helpers/workplace.ts';

const root = fileURLToPath(new URL('../', import.meta.url));

interface Reflection {
  readonly name: string;
  readonly children?: readonly Reflection[];
}

test('given the doc comments, when the reference is made, then there is no warning, and each export of each entry is in it', () => {
  const file = `${temporaryFolder()}/api.json`;
  // The options of typedoc.json make warnings errors, and an export without a doc comment a warning.
  execFileSync(node, [`${root}node_modules/typedoc/bin/typedoc`, '--json', file], { cwd: root, encoding: 'utf8', stdio: 'pipe' });
  const { children: modules } = JSON.parse(readFileSync(file, 'utf8')) as Reflection;
  const { exports } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { exports: Record<string, unknown> };
  const entries = Object.entries(exports).flatMap(([path, target]) =>
    typeof target === 'object' ? [path.replace('.', 'vmm-metrics')] : [],
  );
  expect(modules!.map(({ name }) => name).sort()).toEqual(entries.sort());
  const main = modules!.find(({ name }) => name === 'vmm-metrics')!.children!.map(({ name }) => name);
  expect(main).toEqual(expect.arrayContaining(Object.keys(surface)));
});

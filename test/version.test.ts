// The version of the package is in three places, because the addon and a bundled program have no package.json beside
// them.

import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

import { binding } from '../lib/binding.ts';
import { VERSION } from '../lib/version.ts';

const root = resolve(import.meta.dirname, '..');

test('given the changelog, when its headings are read, then it keeps its form, and the newest section is that of the package', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const [unreleased, ...released] = [...readFileSync(join(root, 'CHANGELOG.md'), 'utf8').matchAll(/^## (.*)$/gm)].map(([, text]) => text!);
  expect(unreleased).toBe('[Unreleased]');
  expect(released[0]).toMatch(new RegExp(`^\\[${version}\\] - \\d{4}-\\d\\d-\\d\\d$`));
  const kinds = [...readFileSync(join(root, 'CHANGELOG.md'), 'utf8').matchAll(/^### (.*)$/gm)].map(([, text]) => text!);
  expect(kinds.filter((kind) => !['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'].includes(kind))).toEqual([]);
});

test('given the package, when its versions are compared, then package.json, the JavaScript and the addon have the same one', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  expect(VERSION).toBe(version);
  expect(readFileSync(join(root, 'native/store/version.h'), 'utf8')).toContain(`kVersion[] = "${version}"`);
  expect(binding().version).toBe(version);
});

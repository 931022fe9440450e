// The version of the package is in three places, because the addon and a bundled program have no package.json beside
// them.

import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

import { binding } from '../lib/binding.ts';
import { VERSION } from '../lib/version.ts';

const root = resolve(import.meta.dirname, '..');

test('given the package, when its versions are compared, then package.json, the JavaScript and the addon have the same one', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  expect(VERSION).toBe(version);
  expect(readFileSync(join(root, 'native/store/version.h'), 'utf8')).toContain(`kVersion[] = "${version}"`);
  expect(binding().version).toBe(version);
});

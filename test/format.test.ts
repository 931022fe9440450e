// The layout of a region from both sides: lib/region/format.ts is compared with the values that the compiler made from
// native/region/format.h.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

import { binding } from '../lib/binding.ts';
import * as format from '../lib/region/format.ts';

const reported = binding().format() as Record<string, unknown>;

test.each(
  Object.keys(reported),
)('given %s of native code, when it is compared with the table in TypeScript, then both are equal', (name) => {
  expect({ ...format }[name]).toEqual(reported[name]);
});

test('given the offsets of the header, when they are compared with docs/format.md, then all are equal, and the page names each once', () => {
  const text = readFileSync(new URL('../docs/format.md', import.meta.url), 'utf8');
  const header = text.slice(text.indexOf('## The header'), text.indexOf('### The crash record'));
  const stated = [...header.matchAll(/^\| (\d+) \| [^|]+ \| `(\w+)` \|/gm)].map(([, offset, name]) => [name, Number(offset)]);
  const camel = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  const { crash, line, reserved, ...named } = format.HeaderOffset;
  expect(named.exitCode).toBe(line + format.LINE_BYTES);
  expect(Object.fromEntries(stated.map(([name, offset]) => [camel(name as string), offset]))).toEqual(named);

  const within = (title: string, at: number, until: string) => {
    const section = text.slice(text.indexOf(title), text.indexOf(until));
    return Object.fromEntries(
      [...section.matchAll(/^\| (\d+) \| [^|]+ \| `(\w+)` \|/gm)].map(([, offset, name]) => [camel(name!), Number(offset) - at]),
    );
  };
  const { reserved: _, ...crashFields } = format.CrashOffset;
  expect(within('### The crash record', crash, '### The line in flight')).toEqual(crashFields);
  const { reserved: __, ...lineFields } = format.LineOffset;
  expect(within('### The line in flight', line, '## Chunks')).toEqual(lineFields);
  expect(within('### A directory entry', 0, '## The document')).toEqual(format.DirectoryEntryOffset);
  expect(reserved).toBe(named.directoryChanges + 8);
});

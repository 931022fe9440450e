// The sources in the packed package: all of the code, and none of the comments.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

// @ts-expect-error: a script without types
import { withoutComments } from '../scripts/pack-sources.mjs';

const without = withoutComments as (text: string) => string;
const native = join(import.meta.dirname, '../native');

describe('given sources in C++', () => {
  test('when the comments are left out, then texts, characters and numbers stay as they are', () => {
    expect(
      without("// head\n\nint a = 1'000;  // one\nchar b = '\"', c = '\\'';\nauto d = \"// \\\" /* */\";\n/* two\nlines */\nint e;\n"),
    ).toBe("int a = 1'000;\nchar b = '\"', c = '\\'';\nauto d = \"// \\\" /* */\";\nint e;\n");
  });

  test('when the comments of every source are left out, then the compiler reads the same code', () => {
    const files = readdirSync(native, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(cc|h)$/.test(name));
    const texts = files.map((name) => readFileSync(join(native, name), 'utf8'));
    const read = (sources: string[]) =>
      execFileSync('g++', ['-fpreprocessed', '-dD', '-E', '-P', '-x', 'c++', '-'], { input: sources.join('\n'), maxBuffer: 1 << 24 })
        .toString()
        .split(/\s+/);
    const packed = texts.map(without);
    expect(files.length).toBeGreaterThan(100);
    expect(read(packed)).toEqual(read(texts));
    expect(packed.join('').length).toBeLessThan(0.7 * texts.join('').length);
    expect(packed.join('').length).toBeGreaterThan(0.3 * texts.join('').length);
  });
});

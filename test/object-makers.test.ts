// Objects that are made many times, and the snapshots that consist of them.

import { describe, expect, test } from 'vitest';

import { ObjectMaker } from '../lib/object-makers.ts';
import { runChild } from './helpers/children.ts';

const keys = ['b', 'a', 'toString', 'constructor_', '_1', 'valueAt', 'items', ...Array.from({ length: 300 }, (_, i) => `n${i}`)];

describe('given keys, when objects are made of them', () => {
  const maker = new ObjectMaker(keys, (key) => key);
  const made = [1n, 2n, 3n].map((n) => maker.make((key) => n * BigInt(key.length)));

  test('then each has the keys in their order, with the values', () => {
    const expected = [1n, 2n, 3n].map((n) => keys.map((key) => [key, n * BigInt(key.length)]));
    expect(made.map((object) => Object.entries(object))).toEqual(expected);
  });

  test('then each is a plain object of its own, which may change', () => {
    for (const object of made) {
      expect(Object.getPrototypeOf(object)).toBe(Object.prototype);
      expect(Object.getOwnPropertyDescriptor(object, 'b')).toEqual({
        value: object['b'],
        writable: true,
        enumerable: true,
        configurable: true,
      });
    }
    expect(new Set(made).size).toBe(3);
  });

  test('then no text of a key is code', () => {
    const odd = ['"', '\\', "'); throw 1; ('", '\n', '\u2028', '$', '`', '];'];
    const code = ['a": valueAt(items[0]), "b'];
    const codeMaker = new ObjectMaker(code, (key) => key);
    for (let i = 0; i < 3; i++) expect(Object.keys(codeMaker.make((key) => key))).toEqual(code);
    const oddMaker = new ObjectMaker(odd, (key) => key);
    for (let i = 0; i < 3; i++) expect(Object.entries(oddMaker.make((key) => key))).toEqual(odd.map((key) => [key, key]));
  });
});

test('given a Node that compiles no text, when snapshots are taken, then they are the same as elsewhere', async () => {
  const [free, forbidden] = await Promise.all(
    [[], ['--disallow-code-generation-from-strings']].map((execArgv) => runChild('snapshots.mjs', [], { execArgv })),
  );
  expect(free!.stderr).toBe('');
  expect(free!.stdout).toMatch(/^compiles true\n/);
  expect(forbidden!.stdout).toMatch(/^compiles false\n/);
  expect(forbidden!.stdout.split('\n').slice(1)).toEqual(free!.stdout.split('\n').slice(1));
});

// The files of lib/: which file may import which.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

import { arrowsOfRooms } from './helpers/drawings.ts';

const root = fileURLToPath(new URL('../lib/', import.meta.url));
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const textOf = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));

/** What a file imports, types too: `./x.ts` by its path in lib/, everything else by its name. */
function importsOf(file: string): string[] {
  const named = [...textOf.get(file)!.matchAll(/^(?:import|export)\b[^;']*'([^']+)'|\bimport\('([^']+)'\)/gm)].map(([, a, b]) => a ?? b!);
  return named.map((name) => (name.startsWith('.') ? join(dirname(file), name) : name));
}
const imports = new Map(files.map((file) => [file, importsOf(file)]));
const isOwn = (name: string) => textOf.has(name);

type Graph = ReadonlyMap<string, ReadonlySet<string>>;

/** A graph of the files, each under the name that `nodeOf` gives to it. */
function graphOf(nodeOf: (file: string) => string): Graph {
  const graph = new Map<string, Set<string>>(files.map((file) => [nodeOf(file), new Set()]));
  for (const [file, names] of imports) {
    for (const name of names.filter(isOwn)) if (nodeOf(name) !== nodeOf(file)) graph.get(nodeOf(file))!.add(nodeOf(name));
  }
  return graph;
}

/** A path through the graph that ends where it begins; empty if there is none. */
function circleIn(graph: Graph): string[] {
  const done = new Set<string>();
  const search = (node: string, way: readonly string[]): string[] => {
    if (way.includes(node)) return [...way.slice(way.indexOf(node)), node];
    if (done.has(node)) return [];
    for (const next of graph.get(node)!) {
      const circle = search(next, [...way, node]);
      if (circle.length > 0) return circle;
    }
    done.add(node);
    return [];
  };
  for (const node of graph.keys()) {
    const circle = search(node, []);
    if (circle.length > 0) return circle;
  }
  return [];
}

/** Importers of files for which `isMeant` holds, each as `importer imports file`. */
const importersOf = (isMeant: (file: string) => boolean) =>
  [...imports].flatMap(([file, names]) => names.filter(isMeant).map((name) => `${file} imports ${name}`));

test('given the imports of lib/, when they are read, then every relative import names a file of lib/', () => {
  const relative = [...imports].flatMap(([file, names]) => names.filter((name) => name.endsWith('.ts')).map((name) => ({ file, name })));
  expect(relative.filter(({ name }) => !isOwn(name))).toEqual([]);
  const stated = [...textOf.values()].reduce((sum, text) => sum + (text.match(/from '\.{1,2}\//g)?.length ?? 0), 0);
  expect(relative.length).toBeGreaterThanOrEqual(stated);
  expect(stated).toBeGreaterThan(150);
});

test('given a file, when its imports are followed, then none leads back to the file', () => {
  expect(circleIn(graphOf((file) => file))).toEqual([]);
});

test('given a folder of lib/, when imports out of the folder are followed, then none leads back into the folder', () => {
  // The format of a region is a table of numbers that imports nothing, so every folder may import it.
  const roomOf = (file: string) => (file.includes('/') && file !== 'region/format.ts' ? `${dirname(file)}/` : file);
  expect(imports.get('region/format.ts')).toEqual([]);
  expect(circleIn(graphOf(roomOf))).toEqual([]);
});

test('given the command, when its importers are looked up, then only files of the command import it', () => {
  const importers = importersOf((name) => name.startsWith('cli/'));
  expect(importers.filter((text) => !text.startsWith('cli/'))).toEqual([]);
  expect(importers.length).toBeGreaterThan(5);
});

test('given the public surface, when its importers are looked up, then only index.ts imports metrics.ts, and no file imports index.ts', () => {
  expect(importersOf((name) => name === 'metrics.ts' || name === 'index.ts')).toEqual(['index.ts imports metrics.ts']);
});

test('given a file that calls itself pure, when its code is read, then it uses no files, clocks or native code', () => {
  const pure = files.filter((file) => /^\/\/[^\n]*(\n\/\/[^\n]*)*\bPure\b/.test(textOf.get(file)!));
  expect(pure.length).toBeGreaterThan(6);
  for (const file of pure) {
    // An import of the types of native code is not a call of native code.
    const used = textOf.get(file)!.replaceAll(/^import type [^;]*;$/gm, '');
    expect(
      used.match(/'node:(?!(?:os|crypto)')[^']+'|'\.{1,2}\/binding\.ts'|\b(?:Date|performance)\.now\b|\bprocess\.hrtime\b/g),
      file,
    ).toBeNull();
  }
});

test('given the drawing of lib/ in docs/architecture.md, when its arrows are followed, then each is an import', () => {
  // A name that ends in a slash stands for the files of a folder.
  const isIn = (name: string) => (file: string) => (name.endsWith('/') ? file.startsWith(name) : file === `${name}.ts`);
  const drawn = arrowsOfRooms('lib');
  expect(drawn.filter(({ from, to }) => !files.some((file) => isIn(from)(file) && imports.get(file)!.some(isIn(to))))).toEqual([]);
  expect(drawn.length).toBeGreaterThan(20);
});

// Each import of a file, and each import statement for a module of Node, costs up to a few milliseconds at each start.
test('given the JavaScript that is published, when its imports are read, then the package imports nothing, and its schema the package', () => {
  const importsOfBuilt = (file: string) => {
    const text = readFileSync(join(root, '../dist/lib', file), 'utf8');
    const names = [...text.matchAll(/^(?:import|export)\b[^;]*? from ["']([^"']+)["'];$/gm)].map(([, from]) => from);
    return [...new Set(names)]; // Node loads a file once, however many statements name the file.
  };
  expect(importsOfBuilt('index.js')).toEqual([]);
  expect(importsOfBuilt('firecracker.js')).toEqual(['./index.js']);
  expect(new Set(importsOfBuilt('prometheus.js'))).toEqual(new Set(['./index.js']));
  expect(new Set(importsOfBuilt('kvm.js'))).toEqual(new Set(['./index.js']));
  expect(importsOfBuilt('opentelemetry.js')).toEqual([]);
  expect(importsOfBuilt('cli/main.js').length).toBeGreaterThan(0);
});

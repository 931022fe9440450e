// Do two trees write the same bytes? Both play the same random operations: values of every length, and devices that
// come and go.

import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { startChild } from '../children.ts';
import { folderInMemory } from '../store.ts';
import type { Subject } from '../subject.ts';
import type { Tree } from '../tree.ts';

const LINES = 1000;
const ROW = `lines of the two trees that differ, of ${LINES}`;

const folder = folderInMemory();
let seed = Date.now() % 2 ** 31;

async function played(tree: Tree): Promise<string[]> {
  const file = join(folder, 'lines');
  const { child } = await startChild(tree, 'line-player', String(seed), String(LINES), file);
  if (child.exitCode === null) await once(child, 'exit');
  const text = readFileSync(file, 'utf8').replaceAll(/"utc_timestamp_ms":\d+/g, '"utc_timestamp_ms":0');
  rmSync(file);
  return text.split('\n');
}

export const subject: Subject = {
  name: 'lines',
  rows: [{ name: ROW, unit: 'lines', once: true, bound: { atMost: 0 } }],
  async measure([one, other]) {
    if (other === undefined) return [{ row: ROW, tree: 0, samples: [], absent: 'this needs a second tree: --against DIR' }];
    seed++;
    const [lines, others] = [await played(one!), await played(other)];
    const differing = lines.filter((line, i) => line !== others[i]).length + Math.abs(lines.length - others.length);
    if (differing > 0) console.error(`The lines differ with the seed ${seed}`);
    return [{ row: ROW, tree: 0, samples: [{ value: differing }] }];
  },
};

// The drawings of docs/architecture.md: text that people and tests read alike.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const architecture = fileURLToPath(new URL('../../docs/architecture.md', import.meta.url));

export interface Arrow {
  readonly from: string;
  readonly to: string;
}

/**
 * The arrows of the nth drawing in the section "The rooms". Each line of a drawing is a name, perhaps a remark, an
 * arrow, the names that it leads to, and perhaps a remark; two spaces or more stand before a remark.
 */
export function arrowsOfRooms(drawing: 'rooms' | 'native' | 'lib'): Arrow[] {
  const [, section = ''] = /^## The rooms\n(.*?)^## /ms.exec(readFileSync(architecture, 'utf8')) ?? [];
  const drawings = [...section.matchAll(/(?:^ {4}.*──►.*\n)+/gm)].map(([text]) => text);
  const lines = drawings[['rooms', 'native', 'lib'].indexOf(drawing)]?.trimEnd().split('\n') ?? [];
  return lines.flatMap((line) => {
    const [, from, names] = /^ {4}(\S+) .*──► (.*?)(?: {2,}.*)?$/.exec(line) ?? [];
    if (from === undefined || names === undefined) throw new Error(`this line of the drawing has no arrow: ${line}`);
    return names === 'nothing' ? [] : names.split(/,? /).map((to) => ({ from: from.replace(/^native\/(.*)\/$/, '$1'), to }));
  });
}

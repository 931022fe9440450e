// What a page calls the files that it shows.

import { basename } from 'node:path';

/** Short names, each of which stands for one path: what differs in the names of the files, or else the whole paths. */
export function namesOf(paths: readonly string[]): readonly string[] {
  const names = paths.map((path) => basename(path).replace(/(?<=.)\.(tsv|jsonl|json|txt|log)$/, ''));
  return new Set(names).size === names.length ? names : paths;
}

/** The title of a page without a title of its own. */
export function titleOf(paths: readonly string[]): string {
  const names = paths.map((path) => basename(path));
  return names.length <= 3 ? names.join(', ') : `${names.slice(0, 2).join(', ')} and ${names.length - 2} more files`;
}

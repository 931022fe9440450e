// The keys of `vmm-metrics watch`: what the help on the screen says.

/** The names of the keys, and what they do. */
const KEYS: readonly (readonly [keys: string, does: string])[] = [
  ['up, down, k, j', 'scroll by a line; with several files, choose one'],
  ['page up, page down, space', 'scroll by a page'],
  ['home, end', 'go to the first or the last line'],
  ['enter', 'show the metrics of the chosen file'],
  ['escape', 'forget the filter; go back to the list of files'],
  ['v', 'show all metrics of all files, or one line per file'],
  ['/', 'filter: type a part of a name, then enter'],
  ['s', 'sort: as in the schema, by rate, by total, by name'],
  ['a', 'show or hide metrics that are zero'],
  ['?', 'show or hide this help'],
  ['q, Ctrl-C', 'quit'],
];

/** The help, for a screen. */
export function keysHelp(): string[] {
  const width = Math.max(...KEYS.map(([keys]) => keys.length));
  return [
    'Keys of vmm-metrics watch',
    '',
    ...KEYS.map(([keys, does]) => `  ${keys.padEnd(width)}  ${does}`),
    '',
    'PER SECOND of a sum of durations is the share of a core that it takes: 100% is',
    'one thread busy all the time. PENDING is what no flushed line contains yet.',
  ];
}

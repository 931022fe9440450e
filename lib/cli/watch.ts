// `vmm-metrics watch`: the numbers of processes as they change, in a terminal.

import { emitKeypressEvents, type Key } from 'node:readline';
import { styleText } from 'node:util';

import { type RegionReading, readRegion } from '../region/reader.ts';
import { digits } from '../text.ts';
import { type Command, parsed, plain, UsageError } from './command.ts';
import { FullScreen } from './full-screen.ts';
import { noRegions, regionsOf } from './regions.ts';
import { isZero, latencyNote, type MetricRow, pendingText, rowsOf, stateOf, wrapped } from './rows.ts';

const HELP = `Usage: vmm-metrics watch FILE|DIR [--interval MS]

Shows the metrics in a region file, or in all of a folder, as they change.
Needs a terminal; for a script there is vmm-metrics show.

  --interval MS  how often they are read, 100 to 3600000. Default: 1000

Keys: / filter, s sort, a all or those that are not 0, arrows and page keys to
move, ? help, q quit
`;

export const watch: Command = {
  summary: 'watch them change, with rates per second',
  help: HELP,
  async run(args) {
    const { values, operands } = parsed(args, { interval: { type: 'string' } } as const, ['FILE|DIR']);
    const intervalMs = Number(values.interval ?? 1000);
    if (!Number.isInteger(intervalMs) || intervalMs < 100 || intervalMs > 3_600_000) {
      throw new UsageError(`--interval must be a number of milliseconds from 100 to 3600000; got '${values.interval}'`);
    }
    if (!process.stdin.isTTY || !process.stdout.isTTY) {
      throw new Error('watch needs a terminal; in a script, use show --json or show --line');
    }
    const path = operands[0]!;
    const { isFolder, paths } = await regionsOf(path);
    if (paths.length === 0) throw noRegions(path);
    // What cannot be read at all is said before the screen is taken.
    if (!isFolder) await readRegion(path);
    const sources = new Sources(path);
    await sources.refresh();
    return new Screen(sources, intervalMs).run();
  },
};

/** One file over time. */
interface Source {
  readonly path: string;
  reading: RegionReading | undefined;
  /** The reading before, of the same process, for rates. */
  earlier: ReadonlyMap<string, bigint>;
  seconds: number;
  readAtMs: number;
  /** Why there is no newer reading. */
  trouble: string | undefined;
  /** How often another process took the place of the one before. */
  replaced: number;
}

interface WatchedRow extends MetricRow {
  readonly source: Source;
  /** The store's name. */
  readonly store: string;
  /** Per second; undefined when there is no reading before. */
  readonly rate: number | undefined;
}

class Sources {
  readonly #path: string;
  readonly #all = new Map<string, Source>();

  constructor(path: string) {
    this.#path = path;
  }

  get all(): Source[] {
    return [...this.#all.values()];
  }

  async refresh(): Promise<void> {
    let paths: readonly string[] = [...this.#all.keys()];
    try {
      // A file that has gone stays, with its last numbers.
      paths = [...new Set([...paths, ...(await regionsOf(this.#path)).paths])];
    } catch {
      // The folder is gone: each of its files says so.
    }
    for (const path of paths) {
      let source = this.#all.get(path);
      if (source === undefined) {
        source = { path, reading: undefined, earlier: new Map(), seconds: 0, readAtMs: 0, trouble: undefined, replaced: 0 };
        this.#all.set(path, source);
      }
      await read(source);
    }
  }
}

async function read(source: Source): Promise<void> {
  let reading: RegionReading;
  try {
    reading = await readRegion(source.path);
  } catch (error) {
    const { cause, message } = error as Error;
    const isGone = (cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
    source.trouble = isGone ? 'the file is gone; these are its last numbers' : plain(message);
    return;
  }
  const now = performance.now();
  const before = source.reading;
  const isSame = before !== undefined && before.pid === reading.pid && before.startedAt.getTime() === reading.startedAt.getTime();
  if (before !== undefined && !isSame) source.replaced++;
  source.earlier = isSame ? totalsOf(before) : new Map();
  source.seconds = (now - source.readAtMs) / 1000;
  source.readAtMs = now;
  source.reading = reading;
  source.trouble = undefined;
}

const keyOf = ({ section, name }: MetricRow) => `${section}\n${name}`;
const totalsOf = (reading: RegionReading) => new Map(rowsOf(reading).map((row) => [keyOf(row), row.total]));

const SORTS = ['schema', 'rate', 'total', 'name'] as const;

class Screen {
  readonly #sources: Sources;
  readonly #intervalMs: number;
  #sort: (typeof SORTS)[number] = 'schema';
  #filter = '';
  #isTyping = false;
  #isHelp = false;
  #all = false;
  #top = 0;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #end: (error?: unknown) => void = () => {};

  constructor(sources: Sources, intervalMs: number) {
    this.#sources = sources;
    this.#intervalMs = intervalMs;
  }

  async run(): Promise<number> {
    const { stdin, stdout } = process;
    let signal: NodeJS.Signals | undefined;
    const onSignal = (name: NodeJS.Signals) => {
      signal = name;
      this.#end();
    };
    const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
    const onKey = (text: string | undefined, key: Key) => this.#key(text, key);
    const draw = () => this.#draw();
    const screen = new FullScreen(draw);
    for (const name of signals) process.once(name, onSignal);
    screen.take();
    emitKeypressEvents(stdin);
    stdin.on('keypress', onKey).on('end', () => this.#end());
    stdout.on('resize', draw);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#end = (error) => {
          this.#isOver = true;
          if (error === undefined) resolve();
          else reject(error as Error);
        };
        draw();
        this.#schedule();
      });
    } finally {
      this.#isOver = true;
      clearTimeout(this.#timer);
      this.#end = () => {};
      stdin.off('keypress', onKey).pause();
      stdout.off('resize', draw);
      screen.leave();
      for (const name of signals) process.off(name, onSignal);
    }
    // As it would have ended without us, so that the shell knows.
    if (signal !== undefined) process.kill(process.pid, signal);
    return 0;
  }

  #schedule(): void {
    this.#timer = setTimeout(async () => {
      try {
        await this.#sources.refresh();
        this.#draw();
        if (!this.#isOver) this.#schedule();
      } catch (error) {
        this.#end(error);
      }
    }, this.#intervalMs);
  }

  #key(text: string | undefined, { name, ctrl }: Key): void {
    const page = Math.max(1, this.#height - 1);
    if (ctrl && (name === 'c' || name === 'd')) this.#end();
    else if (this.#isTyping) this.#type(text, name);
    else if (this.#isHelp) this.#isHelp = false;
    else if (name === 'q') this.#end();
    else if (text === '?') this.#isHelp = true;
    else if (text === '/') this.#isTyping = true;
    else if (name === 's') this.#sort = SORTS[(SORTS.indexOf(this.#sort) + 1) % SORTS.length]!;
    else if (name === 'a') this.#all = !this.#all;
    else if (name === 'escape') this.#filter = '';
    else if (name === 'down' || name === 'j') this.#top++;
    else if (name === 'up' || name === 'k') this.#top--;
    else if (name === 'pagedown' || name === 'space') this.#top += page;
    else if (name === 'pageup') this.#top -= page;
    else if (name === 'home') this.#top = 0;
    else if (name === 'end') this.#top = Number.POSITIVE_INFINITY;
    this.#draw();
  }

  #type(text: string | undefined, name: string | undefined): void {
    this.#top = 0;
    if (name === 'return' || name === 'enter') this.#isTyping = false;
    else if (name === 'escape') {
      this.#isTyping = false;
      this.#filter = '';
    } else if (name === 'backspace') this.#filter = [...this.#filter].slice(0, -1).join('');
    else if (text !== undefined && plain(text) === text) this.#filter += text;
  }

  /** Lines for the table itself; the last draw's. */
  #height = 10;

  #draw(): void {
    if (this.#isOver) return;
    const { columns, rows: lines } = process.stdout;
    const head = this.#isHelp ? HELP.split('\n') : this.#head(columns);
    const foot = this.#foot();
    this.#height = Math.max(0, lines - head.length - 1);
    const body = this.#isHelp ? [] : this.#body(columns);
    this.#top = Math.max(0, Math.min(this.#top, body.length - this.#height));
    const shown = body.slice(this.#top, this.#top + this.#height);
    const rest = Array.from({ length: Math.max(0, lines - 1 - head.length - shown.length) }, () => '');
    const all = [...head, ...shown, ...rest].slice(0, lines - 1);
    // The terminal cuts what is too wide. Each line clears what was there; nothing is cleared before, so nothing
    // flickers.
    process.stdout.write(`\x1b[H${[...all, styleText('inverse', foot.padEnd(columns))].map((line) => `${line}\x1b[K`).join('\r\n')}`);
  }

  /** Of one file how it is; of several how many are how: each one's own stands above its metrics. */
  #head(columns: number): string[] {
    const { all } = this.#sources;
    if (all.length === 1) return headOf(all[0]!, columns);
    const states = all.map(({ reading, trouble }) => (trouble === undefined ? reading!.state : 'not to be read'));
    const counts = [...new Set(states)].map((state) => `${states.filter((one) => one === state).length} ${state}`);
    return [styleText('bold', `${all.length} region files: ${counts.join(', ')}`)];
  }

  #foot(): string {
    if (this.#isHelp) return ' any key: back';
    if (this.#isTyping) return ` filter: ${this.#filter}_`;
    const filter = this.#filter === '' ? '' : `, filter '${this.#filter}'`;
    return ` sorted by ${this.#sort}${filter}${this.#all ? ', all' : ''}   / filter  s sort  a ${this.#all ? 'non-zero' : 'all'}  ? help  q quit`;
  }

  #body(columns: number): string[] {
    const isMany = this.#sources.all.length > 1;
    const rows = this.#sources.all.flatMap(watchedRows);
    const needle = this.#filter.toLowerCase();
    const found = rows.filter(
      (row) => (this.#all || !isZero(row)) && `${row.store}: ${row.section}.${row.name}`.toLowerCase().includes(needle),
    );
    if (this.#sort === 'rate') found.sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0));
    if (this.#sort === 'total') found.sort((a, b) => (a.total < b.total ? 1 : a.total > b.total ? -1 : 0));
    if (this.#sort === 'name') found.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    if (found.length === 0) {
      const why =
        rows.length === 0 ? 'no metrics' : needle === '' ? 'all metrics are 0: a shows them' : `no metric matches '${this.#filter}'`;
      return ['', ` ${why}`];
    }
    const cells = found.map((row) => {
      const label = this.#sort === 'schema' ? `  ${row.name}` : `${isMany ? `${row.store}: ` : ''}${row.section}.${row.name}`;
      return [label, digits(row.total), rateText(row), pendingText(row), row.unit, latencyNote(row)];
    });
    const titles = ['METRIC', 'TOTAL', 'PER SECOND', 'PENDING', '', ''];
    const width = titles.map((title, i) => Math.max(title.length, ...cells.map((cell) => cell[i]!.length)));
    // Numbers matter more than the end of a long name.
    const numbers = width[1]! + width[2]! + width[3]! + width[4]! + 8;
    width[0] = Math.min(width[0]!, Math.max(20, columns - numbers));
    const line = ([label, ...others]: readonly string[]) => {
      const name = label!.length > width[0]! ? `${label!.slice(0, width[0]! - 1)}…` : label!.padEnd(width[0]!);
      return [name, ...others.map((text, i) => (i < 3 ? text.padStart(width[i + 1]!) : text.padEnd(width[i + 1]!)))]
        .join('  ')
        .slice(0, columns)
        .trimEnd();
    };
    const lines = [styleText('dim', line(titles))];
    if (this.#sort !== 'schema') return [...lines, ...cells.map(line)];
    let last: WatchedRow | undefined;
    for (const [i, row] of found.entries()) {
      if (isMany && row.source !== last?.source) lines.push(...headOf(row.source, columns));
      if (row.source !== last?.source || row.section !== last.section) lines.push(styleText('bold', row.section.slice(0, columns)));
      lines.push(line(cells[i]!));
      last = row;
    }
    return lines;
  }
}

function watchedRows(source: Source): WatchedRow[] {
  const { reading, earlier, seconds } = source;
  if (reading === undefined) return [];
  const store = plain(reading.name);
  return rowsOf(reading).map((row) => {
    const before = earlier.get(keyOf(row));
    // A store metric is no counter.
    const hasRate = before !== undefined && row.kind !== 'store' && seconds > 0;
    return { ...row, source, store, rate: hasRate ? Number(BigInt.asUintN(64, row.total - before)) / seconds : undefined };
  });
}

function headOf({ path, reading, trouble, replaced }: Source, columns: number): string[] {
  const colour = { running: 'green', closed: 'yellow', exited: 'yellow', panicked: 'red', killed: 'red', crashed: 'red' } as const;
  const state =
    reading === undefined ? [] : wrapped(stateOf(reading), columns - 2).map((line) => `  ${styleText(colour[reading.state], line)}`);
  return [
    styleText('bold', plain(path)),
    ...state,
    ...(replaced > 0 ? [`  another process has taken the file over${replaced > 1 ? `, ${replaced} times` : ''}`] : []),
    ...(trouble === undefined ? [] : wrapped(trouble, columns - 2).map((line) => `  ${styleText('red', line)}`)),
  ];
}

function rateText({ rate }: WatchedRow): string {
  if (rate === undefined) return '';
  if (rate === 0) return '0';
  return rate < 10 ? rate.toFixed(1) : digits(BigInt(Math.round(rate)));
}

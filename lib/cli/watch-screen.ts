// The screen of `vmm-metrics watch`: keys, scrolling and drawing, until the user quits or a signal comes.

import { emitKeypressEvents, type Key } from 'node:readline';

import { FullScreen } from './full-screen.ts';
import { plain, styled } from './terminal-text.ts';
import { type Body, SORTS, visibleOf, type WatchView } from './watch-body.ts';
import { fleetBody, fleetHead } from './watch-fleet.ts';
import { keysHelp } from './watch-keys.ts';
import type { WatchSource, WatchSources } from './watch-sources.ts';
import { metricsBody, sourceHead } from './watch-table.ts';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

export class WatchScreen {
  readonly #sources: WatchSources;
  readonly #intervalMs: number;
  #sort: WatchView['sort'] = 'schema';
  #filter = '';
  #isTyping = false;
  #isHelp = false;
  #showZeros = false;
  /** Whether the metrics of all files are shown, and not one line per file. */
  #areMetrics = false;
  /** The file whose metrics are shown alone. */
  #opened: WatchSource | undefined;
  /** The line of the list of files that the user has chosen, and the files of the list. */
  #chosen = 0;
  #listed: readonly WatchSource[] = [];
  /** Which line of the table is the first on the screen, and how many of its lines fit. */
  #top = 0;
  #height = 10;
  /** The widths of the columns so far, and what they belong to. */
  #widths: readonly number[] = [];
  #widthsOf = '';
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #end: (error?: unknown) => void = () => {};

  constructor(sources: WatchSources, intervalMs: number) {
    this.#sources = sources;
    this.#intervalMs = intervalMs;
  }

  /** Returns when the user quits. After a signal, the process dies by the signal. */
  async run(): Promise<void> {
    const { stdin, stdout } = process;
    let signal: NodeJS.Signals | undefined;
    const onSignal = (name: NodeJS.Signals) => {
      signal = name;
      this.#end();
    };
    const onKey = (text: string | undefined, key: Key) => this.#onKey(text, key);
    const draw = () => this.#draw();
    const screen = new FullScreen(draw);
    for (const name of SIGNALS) process.once(name, onSignal);
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
      for (const name of SIGNALS) process.off(name, onSignal);
    }
    // The process dies by the signal, so that the shell sees the right status.
    if (signal !== undefined) process.kill(process.pid, signal);
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      try {
        this.#sources.refresh();
        this.#draw();
        if (!this.#isOver) this.#schedule();
      } catch (error) {
        this.#end(error);
      }
    }, this.#intervalMs);
  }

  #onKey(text: string | undefined, { name, ctrl }: Key): void {
    const page = Math.max(1, this.#height - 1);
    if (ctrl && (name === 'c' || name === 'd')) this.#end();
    else if (this.#isTyping) this.#type(text, name);
    else if (this.#isHelp) this.#isHelp = false;
    else if (name === 'q') this.#end();
    else if (text === '?') this.#isHelp = true;
    else if (text === '/') this.#isTyping = true;
    else if (name === 's') this.#sort = SORTS[(SORTS.indexOf(this.#sort) + 1) % SORTS.length]!;
    else if (name === 'a') this.#showZeros = !this.#showZeros;
    else if (name === 'v') this.#show(undefined, !this.#areMetrics);
    else if (name === 'return' || name === 'enter') this.#open();
    else if (name === 'escape') this.#back();
    else if (name === 'down' || name === 'j') this.#move(1);
    else if (name === 'up' || name === 'k') this.#move(-1);
    else if (name === 'pagedown' || name === 'space') this.#move(page);
    else if (name === 'pageup') this.#move(-page);
    else if (name === 'home') this.#move(Number.NEGATIVE_INFINITY);
    else if (name === 'end') this.#move(Number.POSITIVE_INFINITY);
    this.#draw();
  }

  /** Whether the screen has one line per file. */
  get #isFleet(): boolean {
    return !this.#areMetrics && this.#opened === undefined && this.#sources.all.length > 1;
  }

  #move(lines: number): void {
    if (!this.#isFleet) {
      this.#top = Math.max(0, this.#top + lines);
      return;
    }
    this.#chosen = Math.max(0, Math.min(this.#chosen + lines, this.#listed.length - 1));
    // The chosen line stays on the screen.
    this.#top = Math.max(Math.min(this.#top, this.#chosen), this.#chosen - this.#height + 1);
  }

  #open(): void {
    if (this.#isFleet && this.#listed.length > 0) this.#show(this.#listed[this.#chosen], false);
  }

  #back(): void {
    if (this.#filter !== '') this.#filter = '';
    else this.#show(undefined, false);
  }

  #show(opened: WatchSource | undefined, areMetrics: boolean): void {
    this.#opened = opened;
    this.#areMetrics = areMetrics;
    this.#filter = '';
    this.#top = 0;
  }

  /** A key while the filter is being typed. */
  #type(text: string | undefined, name: string | undefined): void {
    this.#top = 0;
    this.#chosen = 0;
    if (name === 'return' || name === 'enter') this.#isTyping = false;
    else if (name === 'escape') {
      this.#isTyping = false;
      this.#filter = '';
    } else if (name === 'backspace') this.#filter = [...this.#filter].slice(0, -1).join('');
    else if (text !== undefined && plain(text) === text) this.#filter += text;
  }

  #draw(): void {
    if (this.#isOver) return;
    const { columns, rows } = process.stdout;
    const { head, body, chosen } = this.#isHelp ? this.#help() : this.#content(columns);
    this.#height = Math.max(0, rows - head.length - 2);
    const key = `${columns} ${this.#sort} ${this.#isFleet} ${this.#opened?.path}`;
    if (key !== this.#widthsOf) this.#widths = [];
    this.#widthsOf = key;
    const options = { top: this.#top, width: columns, height: Math.max(0, rows - head.length - 1), widths: this.#widths, chosen };
    const visible = visibleOf(body, options);
    this.#widths = visible.widths;
    this.#top = Math.min(this.#top, visible.from);
    const blank = Array.from({ length: Math.max(0, rows - 1 - head.length - visible.lines.length) }, () => '');
    const lines = [...head, ...visible.lines, ...blank].slice(0, rows - 1);
    const isAll = visible.from === 0 && visible.to === body.lines.length;
    const place = isAll || this.#isHelp ? '' : `${visible.from + 1}-${visible.to} of ${body.lines.length}`;
    lines.push(styled('inverse', footOf(this.#notes(), place, columns)));
    // The terminal cuts a line that is too wide. Each line erases the rest of its row, and the screen is never cleared
    // as a whole, so nothing flickers.
    process.stdout.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\r\n')}`);
  }

  #help(): Content {
    return { head: keysHelp(), body: { columns: [], lines: [] }, chosen: undefined };
  }

  #content(width: number): Content {
    const sources = this.#sources.all;
    const view = { sort: this.#sort, filter: this.#filter, showZeros: this.#showZeros };
    if (this.#isFleet) {
      const body = fleetBody(sources, view, width, Date.now());
      this.#listed = body.sources;
      this.#chosen = Math.max(0, Math.min(this.#chosen, body.sources.length - 1));
      return { head: fleetHead(sources), body, chosen: this.#chosen };
    }
    const shown = this.#opened === undefined ? sources : [this.#opened];
    const head = shown.length === 1 ? sourceHead(shown[0]!, width) : fleetHead(shown);
    return { head, body: metricsBody(shown, view, width), chosen: undefined };
  }

  /** What the last line says, the most important first. */
  #notes(): string[] {
    if (this.#isHelp) return ['any key: back'];
    if (this.#isTyping) return [`filter: ${this.#filter}_`];
    const filter = this.#filter === '' ? [] : [`filter '${this.#filter}'`];
    const sort = this.#isFleet ? FLEET_SORTS[this.#sort] : this.#sort;
    const way = this.#isFleet ? ['enter open'] : this.#opened === undefined ? [] : ['esc back'];
    return [
      ...filter,
      `sorted by ${sort}${this.#showZeros ? ', with zeros' : ''}`,
      ...['? help', 'q quit', ...way, '/ filter', 's sort', `a ${this.#showZeros ? 'hide' : 'show'} zeros`],
      ...(this.#sources.all.length > 1 ? [`v ${this.#areMetrics ? 'files' : 'all metrics'}`] : []),
    ];
  }
}

/** What is on the screen above the last line. */
interface Content {
  readonly head: readonly string[];
  readonly body: Body;
  readonly chosen: number | undefined;
}

const FLEET_SORTS = { schema: 'path', rate: 'rate', total: 'lines', name: 'store' } as const;

/** As many notes as fit, and the place in the table at the right. */
function footOf(notes: readonly string[], place: string, width: number): string {
  const room = width - (place === '' ? 0 : place.length + 2);
  let text = '';
  for (const note of notes) {
    const longer = text === '' ? ` ${note}` : `${text}   ${note}`;
    if (longer.length > room) break;
    text = longer;
  }
  return place === '' ? text.padEnd(width) : `${text.padEnd(room)} ${place} `.slice(0, width);
}

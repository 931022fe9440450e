// The screen of `vmm-metrics watch`: keys, scrolling and drawing, until the user quits or a signal comes.

import { emitKeypressEvents, type Key } from 'node:readline';

import { FullScreen } from './full-screen.ts';
import { plain, styled } from './terminal-text.ts';
import type { WatchSources } from './watch-sources.ts';
import { headOf, SORTS, type TableView, tableOf } from './watch-table.ts';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

export class WatchScreen {
  readonly #sources: WatchSources;
  readonly #intervalMs: number;
  readonly #help: string;
  #sort: TableView['sort'] = 'schema';
  #filter = '';
  #isTyping = false;
  #isHelp = false;
  #showZeros = false;
  /** Which line of the table is the first on the screen, and how many of its lines fit. */
  #top = 0;
  #height = 10;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #end: (error?: unknown) => void = () => {};

  /** `help` is the text that the key `?` shows. */
  constructor(sources: WatchSources, intervalMs: number, help: string) {
    this.#sources = sources;
    this.#intervalMs = intervalMs;
    this.#help = help;
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
    else if (name === 'escape') this.#filter = '';
    else if (name === 'down' || name === 'j') this.#top++;
    else if (name === 'up' || name === 'k') this.#top--;
    else if (name === 'pagedown' || name === 'space') this.#top += page;
    else if (name === 'pageup') this.#top -= page;
    else if (name === 'home') this.#top = 0;
    else if (name === 'end') this.#top = Number.POSITIVE_INFINITY;
    this.#draw();
  }

  /** A key while the filter is being typed. */
  #type(text: string | undefined, name: string | undefined): void {
    this.#top = 0;
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
    const sources = this.#sources.all;
    const view = { sort: this.#sort, filter: this.#filter, showZeros: this.#showZeros };
    const head = this.#isHelp ? this.#help.split('\n') : headOf(sources, columns);
    const body = this.#isHelp ? [] : tableOf(sources, view, columns);
    this.#height = Math.max(0, rows - head.length - 1);
    this.#top = Math.max(0, Math.min(this.#top, body.length - this.#height));
    const visible = body.slice(this.#top, this.#top + this.#height);
    const blank = Array.from({ length: Math.max(0, rows - 1 - head.length - visible.length) }, () => '');
    const lines = [...head, ...visible, ...blank].slice(0, rows - 1);
    lines.push(styled('inverse', this.#foot().padEnd(columns)));
    // The terminal cuts a line that is too wide. Each line erases the rest of its row, and the screen is never cleared
    // as a whole, so nothing flickers.
    process.stdout.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\r\n')}`);
  }

  #foot(): string {
    if (this.#isHelp) return ' any key: back';
    if (this.#isTyping) return ` filter: ${this.#filter}_`;
    const filter = this.#filter === '' ? '' : `, filter '${this.#filter}'`;
    const zeros = this.#showZeros ? ', with zeros' : '';
    return ` sorted by ${this.#sort}${filter}${zeros}   / filter  s sort  a ${this.#showZeros ? 'hide' : 'show'} zeros  ? help  q quit`;
  }
}

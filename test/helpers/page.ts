// A page of a profile without a browser: elements, and uPlot as the page calls it.

import { vi } from 'vitest';

import { PAGE_TOOLS } from '../../lib/profile/page.ts';
import type { ProfileSeries } from '../../lib/profile/series.ts';
import { showProfile } from '../../lib/profile/view.ts';

/** What a test uses of an element. */
export class Element {
  readonly children: (Element | string)[] = [];
  readonly attributes = new Map<string, string>();
  readonly listeners = new Map<string, (event?: unknown) => void>();
  readonly style = { setProperty() {} };
  readonly clientWidth = 800;
  className = '';
  hidden = false;
  #text = '';
  get textContent(): string {
    return this.#text + this.children.map((child) => (typeof child === 'string' ? child : child.textContent)).join('');
  }
  set textContent(text: string) {
    this.#text = text;
  }
  append(...children: (Element | string)[]) {
    this.children.push(...children);
  }
  replaceChildren(...children: (Element | string)[]) {
    this.children.splice(0, this.children.length, ...children);
  }
  addEventListener(name: string, listener: (event?: unknown) => void) {
    this.listeners.set(name, listener);
  }
  setAttribute(name: string, value: string) {
    this.attributes.set(name, value);
  }
  /** All elements in this one whose class is `className`. */
  all(className: string): Element[] {
    const inside = this.children.flatMap((child) => (typeof child === 'string' ? [] : child.all(className)));
    return this.className.split(' ').includes(className) ? [this, ...inside] : inside;
  }
}

export interface SeriesOptions {
  readonly class?: string;
  readonly label?: string;
  readonly show?: boolean;
  readonly stroke?: string;
  readonly paths?: unknown;
  readonly points: { filter(plot: unknown, series: number, areAllShown: boolean): number[] | null };
}

/** uPlot, as the page calls it. */
export class Plot {
  static all: Plot[] = [];
  static readonly paths = { stepped: (options: object) => ['stepped', options] };
  readonly over = new Element();
  readonly series: { dash?: number[]; alpha?: number }[];
  readonly options: {
    series: SeriesOptions[];
    axes: { values(plot: unknown, ticks: number[]): string[]; splits?(): number[] }[];
    scales: { y: { range?: number[] } };
    bands: { series: [number, number]; fill: string }[];
    hooks: { setCursor: [(plot: Plot) => void]; drawAxes?: [(plot: unknown) => void] };
  };
  data: (number | null | undefined)[][];
  cursor: { idx: number | null; left: number } = { idx: null, left: -10 };
  readonly shown: unknown[] = [];
  readonly frame: Element;
  constructor(options: Plot['options'], data: Plot['data'], frame: Element) {
    this.options = options;
    this.data = data;
    this.frame = frame;
    this.series = options.series.map(() => ({}));
    Plot.all.push(this);
  }
  redraw() {}
  setData(data: Plot['data']) {
    this.data = data;
  }
  setScale() {}
  setSeries(at: number, options: object) {
    this.shown.push([at, options]);
  }
  /** The texts of the box while the cursor is at a point: the time, and the value of each line. */
  readingsAt(idx: number): string[] {
    this.cursor = { idx, left: 5 };
    this.options.hooks.setCursor[0](this);
    const [box] = this.frame.all('readings');
    return box!.hidden ? [] : box!.children.map((child) => (typeof child === 'string' ? child : child.textContent));
  }
}

/** The page that is made of a profile, in charts of 800 pixels. */
export interface Page {
  readonly plots: Plot[];
  readonly root: Element;
  /** The buttons of each chart's legend. */
  readonly legends: Element[][];
}

export function pageOf(profile: ProfileSeries): Page {
  const root = new Element();
  vi.stubGlobal('document', { getElementById: () => root, createElement: () => new Element(), querySelectorAll: () => [], body: {} });
  vi.stubGlobal('getComputedStyle', () => ({ color: '#000' }));
  vi.stubGlobal('matchMedia', () => ({ matches: false }));
  vi.stubGlobal(
    'ResizeObserver',
    class {
      observe() {}
    },
  );
  Plot.all = [];
  showProfile(Plot as never, PAGE_TOOLS, profile);
  return { plots: Plot.all, root, legends: root.all('legend').map(({ children }) => children as Element[]) };
}

/// <reference lib="dom" />
// The table of all virtual machines. It has elements only for the rows that can be seen, and fills them anew at each
// change: a thousand rows in the document would take a browser hundreds of milliseconds.

import { element, setText } from './element.ts';
import type { History } from './history.ts';
import { sparkLine, sparkPath } from './spark.ts';
import { stateOf, type Vm } from './vms.ts';
import { fate, short, span } from './words.ts';

/** Rows beyond each edge of what can be seen. */
const SPARE = 4;
const SPARK_WIDTH = 120;
const SPARK_HEIGHT = 22;

interface Row {
  readonly root: HTMLElement;
  readonly state: HTMLElement;
  readonly name: HTMLElement;
  readonly more: HTMLElement;
  readonly fate: HTMLElement;
  readonly ago: HTMLElement;
  readonly rate: HTMLElement;
  readonly path: SVGPathElement;
  readonly pending: HTMLElement;
}

export class FleetTable {
  readonly #scroller: HTMLElement;
  readonly #body: HTMLElement;
  readonly #history: History;
  readonly #open: (vm: Vm) => void;
  readonly #rows: Row[] = [];
  #vms: readonly Vm[] = [];
  #atMs = 0;
  /** The index of the row that has the focus when the keyboard is used. */
  #active = 0;
  #first = 0;

  constructor(scroller: HTMLElement, history: History, open: (vm: Vm) => void) {
    this.#scroller = scroller;
    this.#history = history;
    this.#open = open;
    this.#body = element('div', 'rows');
    this.#body.setAttribute('role', 'rowgroup');
    scroller.append(this.#body);
    scroller.addEventListener('scroll', () => this.#fill(), { passive: true });
    new ResizeObserver(() => this.#fill()).observe(scroller);
    this.#body.addEventListener('click', (event) => this.#openAt(this.#indexOf(event.target as Element)));
    scroller.addEventListener('keydown', (event) => this.#key(event));
  }

  show(vms: readonly Vm[], atMs: number): void {
    const active = this.#vms[this.#active]?.name;
    this.#vms = vms;
    this.#atMs = atMs;
    // The focus follows its virtual machine, wherever the order puts that.
    const moved = active === undefined ? -1 : vms.findIndex(({ name }) => name === active);
    this.#active = moved >= 0 ? moved : Math.min(this.#active, Math.max(0, vms.length - 1));
    this.#scroller.setAttribute('aria-rowcount', `${vms.length}`);
    this.#fill();
  }

  focus(): void {
    this.#moveTo(this.#active);
  }

  #rowHeight(): number {
    return Number.parseFloat(getComputedStyle(this.#scroller).getPropertyValue('--row')) || 40;
  }

  #fill(): void {
    const height = this.#rowHeight();
    this.#body.style.height = `${this.#vms.length * height}px`;
    this.#first = Math.max(0, Math.floor(this.#scroller.scrollTop / height) - SPARE);
    const end = Math.min(this.#vms.length, Math.ceil((this.#scroller.scrollTop + this.#scroller.clientHeight) / height) + SPARE);
    const count = Math.max(0, end - this.#first);
    while (this.#rows.length < count) this.#rows.push(this.#newRow());
    this.#rows.forEach((row, i) => {
      row.root.hidden = i >= count;
      if (i < count) this.#fillRow(row, this.#first + i, height);
    });
  }

  #fillRow(row: Row, index: number, height: number): void {
    const vm = this.#vms[index]!;
    const state = stateOf(vm);
    row.root.style.transform = `translateY(${index * height}px)`;
    row.root.setAttribute('aria-rowindex', `${index + 1}`);
    row.root.tabIndex = index === this.#active ? 0 : -1;
    row.root.dataset['state'] = state;
    setText(row.state, state);
    setText(row.name, vm.name);
    setText(row.more, moreOf(vm));
    setText(row.fate, fate(vm, this.#atMs));
    setText(row.ago, vm.endedAtMs === null ? '' : `${span(this.#atMs - vm.endedAtMs)} ago`);
    const rates = state === 'running' ? this.#history.ratesOf(vm.name) : [];
    setText(row.rate, rates.length === 0 ? '' : `${short(rates.at(-1)!)}/s`);
    const path = sparkPath(rates, SPARK_WIDTH, SPARK_HEIGHT);
    if (row.path.getAttribute('d') !== path) row.path.setAttribute('d', path);
    setText(row.pending, state !== 'running' && vm.hasPending ? 'not flushed' : vm.isDegraded ? 'degraded' : '');
  }

  #newRow(): Row {
    const cell = (className: string, ...content: Node[]) => {
      const made = element('div', className, ...content);
      made.setAttribute('role', 'gridcell');
      return made;
    };
    const { svg, path } = sparkLine(SPARK_WIDTH, SPARK_HEIGHT);
    const [name, more, ago] = [element('b'), element('small'), element('small')];
    const fateText = element('span');
    const row = {
      state: cell('state'),
      name,
      more,
      fate: fateText,
      ago,
      rate: cell('rate'),
      path,
      pending: cell('pending'),
    };
    const root = element(
      'div',
      'row',
      row.state,
      cell('name', name, more),
      cell('fate', fateText, ago),
      row.rate,
      cell('trend', svg),
      row.pending,
    );
    root.setAttribute('role', 'row');
    this.#body.append(root);
    return { root, ...row };
  }

  #indexOf(target: Element): number {
    const root = target.closest('.row');
    const position = this.#rows.findIndex((row) => row.root === root);
    return position < 0 ? -1 : this.#first + position;
  }

  #openAt(index: number): void {
    const vm = this.#vms[index];
    if (vm === undefined) return;
    this.#active = index;
    this.#open(vm);
  }

  #moveTo(index: number): void {
    const active = Math.min(Math.max(index, 0), this.#vms.length - 1);
    if (active < 0) return;
    this.#active = active;
    const height = this.#rowHeight();
    const { scrollTop, clientHeight } = this.#scroller;
    if (active * height < scrollTop) this.#scroller.scrollTop = active * height;
    else if ((active + 1) * height > scrollTop + clientHeight) this.#scroller.scrollTop = (active + 1) * height - clientHeight;
    this.#fill();
    this.#rows[active - this.#first]?.root.focus({ preventScroll: true });
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.#scroller.clientHeight / this.#rowHeight()) - 1);
    const steps: Readonly<Record<string, number>> = {
      ArrowDown: this.#active + 1,
      ArrowUp: this.#active - 1,
      PageDown: this.#active + page,
      PageUp: this.#active - page,
      Home: 0,
      End: this.#vms.length - 1,
    };
    const next = steps[event.key];
    if (next !== undefined) this.#moveTo(next);
    else if (event.key === 'Enter' || event.key === ' ') this.#openAt(this.#active);
    else return;
    event.preventDefault();
  }
}

/** What tells virtual machines with similar names apart. */
function moreOf({ id, name, properties }: Vm): string {
  const pairs = Object.entries(properties ?? {}).map(([key, value]) => `${key}=${value}`);
  return [...(id === null || id === name ? [] : [id]), ...pairs].join(' ');
}

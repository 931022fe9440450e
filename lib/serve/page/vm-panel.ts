/// <reference lib="dom" />
// Everything about one virtual machine: what became of it, the command that flushes it, and all its metrics.

import { element, setText } from './element.ts';
import { exactJson } from './exact-json.ts';
import { request } from './feed.ts';
import { History } from './history.ts';
import { counterOf, distributionOf, isZero, type Metric, quantilesText, type VmData, valueText } from './metric-values.ts';
import { barsPath, sparkLine, sparkPath } from './spark.ts';
import { stateOf, type Vm } from './vms.ts';
import { digits, fate, shellWord, short, span, unitName } from './words.ts';

const CHART_WIDTH = 600;
const CHART_HEIGHT = 80;
const MINI_WIDTH = 72;
const MINI_HEIGHT = 16;

interface Line {
  readonly root: HTMLElement;
  readonly value: HTMLElement;
  readonly rate: HTMLElement;
  /** A small chart: of the last rates, or of the distribution. */
  readonly mini: { readonly svg: SVGSVGElement; readonly path: SVGPathElement };
  readonly detail: HTMLElement;
  metric: Metric;
}

export class VmPanel {
  readonly #root: HTMLElement;
  readonly #title = element('h2');
  readonly #state = element('span', 'state');
  readonly #facts = element('dl');
  readonly #flush = element('div', 'flush');
  readonly #metrics = element('div', 'metrics');
  readonly #filter = element('input');
  readonly #zeros = element('input');
  readonly #lines = new Map<string, Line>();
  readonly #heads: { readonly root: HTMLElement; readonly lines: Line[] }[] = [];
  #history = new History();
  #vm: Vm | undefined;
  /** Which metrics there are; new elements are made only when this changes. */
  #paths = '';
  #asking: AbortController | undefined;

  constructor(root: HTMLElement, close: () => void) {
    this.#root = root;
    const closer = element('button', 'close', '✕');
    closer.setAttribute('aria-label', 'Close');
    closer.addEventListener('click', close);
    this.#filter.type = 'search';
    this.#filter.placeholder = 'Filter metrics';
    this.#filter.setAttribute('aria-label', 'Filter metrics');
    this.#filter.addEventListener('input', () => this.#choose());
    this.#zeros.type = 'checkbox';
    this.#zeros.addEventListener('change', () => this.#choose());
    const bar = element('div', 'bar', this.#filter, element('label', '', this.#zeros, ' show zeros'));
    root.append(element('header', '', this.#state, this.#title, closer), this.#facts, this.#flush, bar, this.#metrics);
  }

  get isOpen(): boolean {
    return this.#vm !== undefined;
  }

  /** Opens the panel, or updates what it says of this virtual machine. */
  show(vm: Vm, atMs: number): void {
    if (this.#vm?.name !== vm.name) {
      this.#history = new History();
      this.#paths = '';
      this.#metrics.replaceChildren(element('p', 'quiet', 'Reading …'));
    }
    const wasOpen = this.isOpen;
    this.#vm = vm;
    this.#root.hidden = false;
    if (!wasOpen) this.#root.querySelector<HTMLElement>('.close')!.focus();
    setText(this.#title, vm.name);
    setText(this.#state, stateOf(vm));
    this.#root.dataset['state'] = stateOf(vm);
    this.#showFacts(vm, atMs);
    void this.#read(vm, atMs);
  }

  close(): void {
    this.#vm = undefined;
    this.#asking?.abort();
    this.#root.hidden = true;
  }

  #showFacts(vm: Vm, atMs: number): void {
    const time = (ms: number | null) => (ms === null ? '' : `${new Date(ms).toLocaleString()} (${span(atMs - ms)} ago)`);
    const { crash, pid, id, store, properties } = vm;
    const facts: readonly [string, string][] = [
      ['what happened', stateOf(vm) === 'running' ? '' : fate(vm, atMs)],
      ['crash', crash === null ? '' : `code ${crash.code}, ${crash.code > 0 ? `address ${crash.address}, ` : ''}thread ${crash.threadId}`],
      ['ended', time(vm.endedAtMs)],
      ['started', time(vm.startedAtMs)],
      ['process', pid === null ? '' : `${pid}`],
      ['store', [store, id].filter((one) => one !== null).join(', id ')],
      ['properties', Object.entries(properties ?? {}).map(([key, value]) => `${key}=${value}`).join(' ')], // biome-ignore format: one row
      ['memory', vm.isDegraded ? 'the process lost memory of its metrics, and values with it' : ''],
      ['file', vm.file],
    ];
    const shown = facts.filter(([, text]) => text !== '');
    const text = JSON.stringify(shown);
    if (this.#facts.dataset['shown'] === text) return;
    this.#facts.dataset['shown'] = text;
    this.#facts.replaceChildren(...shown.flatMap(([name, value]) => [element('dt', '', name), element('dd', '', value)]));
  }

  async #read(vm: Vm, atMs: number): Promise<void> {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    try {
      const response = await request(`data/vm/${encodeURIComponent(vm.name)}`, asking.signal);
      const data = response.ok ? (exactJson(await response.text()) as VmData) : undefined;
      if (asking.signal.aborted || this.#vm?.name !== vm.name) return;
      this.#showFlush(vm, data);
      if (data?.metrics == null) this.#say('The file cannot be read now.');
      else this.#showMetrics(data, data.metrics);
    } catch {
      if (!asking.signal.aborted) this.#say(`The agent does not answer. These values are from ${new Date(atMs).toLocaleTimeString()}.`);
    }
  }

  #say(text: string): void {
    if (this.#paths === '') this.#metrics.replaceChildren(element('p', 'quiet', text));
  }

  #showFlush(vm: Vm, data: VmData | undefined): void {
    const pending = Object.entries(data?.pending ?? {});
    const isDead = stateOf(vm) !== 'running';
    const command = `vmm-metrics flush ${shellWord(vm.file)}`;
    const lines = pending.map(([path, count]) => element('li', '', element('code', '', path), ` +${digits(count)}`));
    const summary = pending.length === 1 ? '1 counter is not in a line yet' : `${digits(pending.length)} counters are not in a line yet`;
    const key = `${isDead}${command}${pending.length > 0}`;
    if (this.#flush.dataset['shown'] === key) {
      const shown = this.#flush.querySelector('summary');
      if (shown !== null) setText(shown, summary);
      this.#flush.querySelector('ul')?.replaceChildren(...lines);
      return;
    }
    this.#flush.dataset['shown'] = key;
    if (pending.length === 0) {
      this.#flush.replaceChildren(element('p', 'quiet', 'Every count is in a line.'));
      return;
    }
    const more = element('details', '', element('summary', '', summary), element('ul', '', ...lines));
    if (!isDead) {
      this.#flush.replaceChildren(more);
      return;
    }
    const copy = element('button', '', 'Copy');
    copy.addEventListener('click', () => void navigator.clipboard.writeText(command).then(() => setText(copy, 'Copied')));
    this.#flush.replaceChildren(
      more,
      element('p', '', 'This command writes the last line of the process:'),
      element('pre', '', command),
      copy,
    );
  }

  #showMetrics({ atMs, startedAtMs, pid }: VmData, metrics: readonly Metric[]): void {
    const life = `${pid} ${startedAtMs}`;
    const paths = metrics.map(keyOf).join('\n');
    if (paths !== this.#paths) this.#build(metrics, paths);
    for (const metric of metrics) {
      const line = this.#lines.get(keyOf(metric))!;
      line.metric = metric;
      const counter = counterOf(metric);
      if (counter !== undefined) this.#history.take(keyOf(metric), life, counter, atMs);
    }
    this.#choose();
  }

  #fill({ value, rate, mini, detail, metric }: Line): void {
    setText(value, valueText(metric));
    const rates = this.#history.ratesOf(keyOf(metric));
    setText(rate, rates.length === 0 || stateOf(this.#vm!) !== 'running' ? '' : `${short(rates.at(-1)!)}/s`);
    const distribution = distributionOf(metric);
    const isDistribution = distribution !== undefined && BigInt(distribution.count) > 0n;
    const path = isDistribution ? barsPath(distribution.bucketCounts, MINI_WIDTH, MINI_HEIGHT) : sparkPath(rates, MINI_WIDTH, MINI_HEIGHT);
    mini.svg.classList.toggle('bars', isDistribution);
    if (mini.path.getAttribute('d') !== path) mini.path.setAttribute('d', path);
    if (!detail.hidden) this.#draw({ detail, metric });
  }

  #build(metrics: readonly Metric[], paths: string): void {
    this.#paths = paths;
    this.#lines.clear();
    this.#heads.length = 0;
    let owner = '';
    for (const metric of metrics) {
      const { group, device, aggregate } = metric;
      const title = device === undefined ? (aggregate ? `${group}, all devices` : group) : `${group} ${device}`;
      if (title !== owner || this.#heads.length === 0) {
        this.#heads.push({ root: element('section', '', element('h3', '', title)), lines: [] });
        owner = title;
      }
      const head = this.#heads.at(-1)!;
      const line = this.#newLine(metric);
      head.root.append(line.root);
      head.lines.push(line);
      this.#lines.set(keyOf(metric), line);
    }
    this.#metrics.replaceChildren(...this.#heads.map(({ root }) => root));
  }

  #newLine(metric: Metric): Line {
    const [value, rate, detail] = [element('span', 'value'), element('span', 'rate'), element('div', 'detail')];
    const mini = sparkLine(MINI_WIDTH, MINI_HEIGHT);
    const button = element('button', 'metric', element('span', 'name', metric.name), element('span', 'mini', mini.svg), rate, value);
    button.title = metric.doc;
    button.setAttribute('aria-expanded', 'false');
    detail.hidden = true;
    const line: Line = { root: element('div', '', button, detail), value, rate, mini, detail, metric };
    button.addEventListener('click', () => {
      detail.hidden = !detail.hidden;
      button.setAttribute('aria-expanded', `${!detail.hidden}`);
      if (!detail.hidden) this.#draw(line);
    });
    return line;
  }

  #draw({ detail, metric }: Pick<Line, 'detail' | 'metric'>): void {
    const { doc, unit, path } = metric;
    const parts: Node[] = [element('p', '', doc, ' ', element('code', '', path))];
    const rates = this.#history.ratesOf(keyOf(metric));
    if (rates.length > 1) {
      const { svg, path: line } = sparkLine(CHART_WIDTH, CHART_HEIGHT);
      line.setAttribute('d', sparkPath(rates, CHART_WIDTH, CHART_HEIGHT));
      svg.classList.add('chart');
      const name = typeof metric.value === 'object' ? 'values' : unitName(unit);
      parts.push(svg, edges('two minutes ago', `${name && `${name} `}per second, at most ${short(Math.max(...rates))}`, 'now'));
    }
    const distribution = distributionOf(metric);
    if (distribution !== undefined && BigInt(distribution.count) > 0n) {
      const name = unitName(unit);
      const withUnit = (value: number | bigint) => `${digits(value)}${name && ` ${name}`}`;
      const { svg, path: shape } = sparkLine(CHART_WIDTH, CHART_HEIGHT);
      svg.classList.add('bars', 'chart');
      shape.setAttribute('d', barsPath(distribution.bucketCounts, CHART_WIDTH, CHART_HEIGHT));
      parts.push(
        svg,
        edges(withUnit(distribution.min), `${digits(distribution.count)} values, logarithmic axis`, withUnit(distribution.max)),
      );
      const quantiles = quantilesText(metric);
      if (quantiles !== '') parts.push(element('p', '', quantiles));
    }
    detail.replaceChildren(...parts);
  }

  /** Shows what the filter lets through. */
  #choose(): void {
    const words = this.#filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const { root, lines } of this.#heads) {
      let isEmpty = true;
      for (const line of lines) {
        const text = `${line.metric.path} ${line.metric.doc}`.toLowerCase();
        const isShown = words.every((word) => text.includes(word)) && (this.#zeros.checked || words.length > 0 || !isZero(line.metric));
        line.root.hidden = !isShown;
        if (!isShown) continue;
        isEmpty = false;
        this.#fill(line);
      }
      root.hidden = isEmpty;
    }
  }
}

/** What stands below the edges and the middle of a chart. */
function edges(...texts: readonly string[]): HTMLElement {
  return element('p', 'edges', ...texts.map((text) => element('span', '', text)));
}

const keyOf = ({ path, aggregate }: Metric) => `${path}${aggregate ? ' of all' : ''}`;

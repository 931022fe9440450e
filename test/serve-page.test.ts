// The page of the agent: what it says of numbers, times and deaths, what it shows, and what the agent sends to it.

import { readFileSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { defineSchema, group, inc, latency, Metrics, perDevice, store } from 'vmm-metrics';
import { Events } from '../lib/serve/events.ts';
import { FILE_STATES } from '../lib/serve/file-state.ts';
import { exactJson } from '../lib/serve/page/exact-json.ts';
import { History, POINTS } from '../lib/serve/page/history.ts';
import { isZero, type Metric, quantilesText, valueText } from '../lib/serve/page/metric-values.ts';
import { barsPath, sparkPath } from '../lib/serve/page/spark.ts';
import { type FleetData, SORTS, STATES, shownIn, type Vm, vmsOf } from '../lib/serve/page/vms.ts';
import { digits, fate, notShown, quantity, shellWord, short, span } from '../lib/serve/page/words.ts';
import { runAgent } from './helpers/agent.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';

const vm = (name: string, more: Partial<Vm> = {}): Vm => ({
  name,
  file: `/run/${name}/metrics.region`,
  state: 'running',
  pid: 1,
  startedAtMs: 1000,
  endedAtMs: null,
  exitCode: null,
  crash: null,
  isDegraded: false,
  hasPending: false,
  store: 'default',
  id: null,
  properties: {},
  events: 0,
  error: null,
  ...more,
});

describe('given what the page says', () => {
  test.each([
    [0, '0'],
    [0.01, '0'],
    [0.25, '0.3'],
    [7, '7'],
    [9.96, '10'],
    [999.4, '999'],
    [999.6, '1.0 k'],
    [12_345, '12 k'],
    [3_400_000, '3.4 M'],
    [5e12, '5.0 T'],
  ])('when a number is %s, then it is short: %s', (value, text) => {
    expect(short(value)).toBe(text);
  });

  test.each([
    [0, 'us', '0 µs'],
    [0.5, 'us', '500 ns'],
    [41, 'us', '41 µs'],
    [999.6, 'us', '1.0 ms'],
    [1_500_000, 'us', '1.5 s'],
    [70, 'ms', '70 ms'],
    [12, 'ns', '12 ns'],
    [3400, 'bytes', '3.4 k bytes'],
    [7, 'count', '7'],
  ])('when a value is %s %s, then it is %s', (value, unit, text) => {
    expect(quantity(value, unit)).toBe(text);
  });

  test.each([
    [-5, '0 s'],
    [59_400, '59 s'],
    [60_000, '1 min'],
    [3_600_000 * 23, '23 h'],
    [86_400_000 * 3, '3 d'],
  ])('when a span has %s ms, then it is %s', (ms, text) => {
    expect(span(ms)).toBe(text);
  });

  test('when an integer does not fit into a double, then it keeps its digits, or this engine does not give them', () => {
    const value = exactJson('{"a":9007199254740993,"b":[18446744073709551615],"c":1.5,"d":7}') as Record<string, unknown>;
    const hasSource = JSON.parse('1', (_key, _value, context?: { source?: string }) => context?.source) === '1';
    expect(value['d']).toBe(7);
    expect(value['c']).toBe(1.5);
    expect(value['a']).toBe(hasSource ? 9007199254740993n : 9007199254740992);
    if (hasSource) expect(digits(value['a'] as bigint)).toBe('9,007,199,254,740,993');
    expect(exactJson('{"a":[999999999999999,"x"]}')).toEqual({ a: [999_999_999_999_999, 'x'] });
  });

  test('when a process is dead, then the page says how it died', () => {
    const crash = { signal: 'SIGBUS', code: 2, address: '0x7f10', threadId: 9, at: '2026-11-21T00:00:00.000Z' };
    expect(fate(vm('a', { state: 'crashed', crash }), 0)).toBe('SIGBUS at 0x7f10');
    // The address is that of a fault only if the kernel sent the signal.
    expect(fate(vm('a', { state: 'crashed', crash: { ...crash, code: 0 } }), 0)).toBe('SIGBUS, raised by a process');
    expect(fate(vm('a', { state: 'killed' }), 0)).toContain('SIGKILL');
    expect(fate(vm('a', { state: 'panicked', exitCode: 7 }), 0)).toContain('exit code 7');
    expect(fate(vm('a', { state: 'exited', exitCode: 3 }), 0)).toContain('exit code 3');
    expect(fate(vm('a'), 4000)).toBe('up 3 s');
    expect(fate(vm('a', { state: null, error: 'not a region file (bad magic)' }), 0)).toBe('not a region file (bad magic)');
  });

  test('when a path has characters that a shell knows, then it is still one word', () => {
    expect(shellWord('/run/vm0/metrics.region')).toBe('/run/vm0/metrics.region');
    expect(shellWord("/run/it's $HOME/a")).toBe(`'/run/it'\\''s $HOME/a'`);
  });

  test('when a latency is an aggregate without a maximum, then no maximum is said', () => {
    const metric = (value: object) => ({ kind: 'latency', unit: 'us', value }) as unknown as Metric;
    expect(valueText(metric({ count: 4, min_us: 1, max_us: 90, sum_us: 100 }))).toBe('mean 25 µs, max 90 µs');
    expect(valueText(metric({ count: 4, min_us: 0, max_us: 0, sum_us: 100 }))).toBe('mean 25 µs');
    const histogram = { count: 4, min_us: 1, max_us: 90, sum_us: 100, histogram: {} };
    const withQuantiles = { ...metric(histogram), quantiles: [12, 80, 89.6] } as Metric;
    expect(valueText(withQuantiles)).toBe('median 12 µs, max 90 µs');
    expect(quantilesText(withQuantiles)).toBe('median 12 µs · 90 % 80 µs · 99 % 90 µs');
    expect(quantilesText(metric({ count: 0 }))).toBe('');
    expect(isZero(metric({ count: 0, min_us: 0, max_us: 0, sum_us: 0 }))).toBe(true);
  });
});

describe('given many virtual machines', () => {
  const vms = [
    vm('b'),
    vm('a', { properties: { zone: 'eu' } }),
    vm('c', { state: 'crashed', endedAtMs: 5000 }),
    vm('d', { state: 'crashed', endedAtMs: 9000 }),
    vm('e', { state: null, error: 'x' }),
  ];
  const names = (view: Partial<Parameters<typeof shownIn>[0]>) =>
    shownIn({ states: new Set(), text: '', sort: 'name', ...view }, vms, ({ name }) => (name === 'b' ? 9 : 1), textOf).map(
      ({ name }) => name,
    );
  const textOf = ({ name, properties }: Vm) => [name, ...Object.entries(properties ?? {}).flat()].join(' ');

  test('when they are sorted, then each order is the one that its name says', () => {
    expect(names({ sort: 'name' })).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(names({ sort: 'attention' })).toEqual(['d', 'c', 'e', 'a', 'b']);
    expect(names({ sort: 'rate' })).toEqual(['b', 'a', 'c', 'd', 'e']);
    expect(names({ sort: 'newest' })).toEqual(['d', 'c', 'a', 'b', 'e']);
    expect(SORTS).toHaveLength(4);
  });

  test('when states and words filter them, then only those that fit are shown', () => {
    expect(names({ states: new Set(['crashed']) })).toEqual(['c', 'd']);
    expect(names({ states: new Set(['crashed', 'unreadable']) })).toEqual(['c', 'd', 'e']);
    expect(names({ text: ' ZONE eu' })).toEqual(['a']);
    expect(names({ text: 'zone us' })).toEqual([]);
  });

  test('when the states of a region are listed, then the page knows each of them', () => {
    expect(new Set(STATES)).toEqual(new Set(FILE_STATES.filter((state) => state !== 'duplicate' && state !== 'forgotten')));
  });

  test('when counters arrive, then their rates follow, and a new life begins without one', () => {
    const history = new History();
    history.take('a', '1', 100, 1000);
    expect(history.ratesOf('a')).toEqual([]);
    history.take('a', '1', 300n, 3000);
    expect(history.rateOf('a')).toBe(100);
    history.take('a', '1', 300, 3000); // the same data again
    expect(history.ratesOf('a')).toEqual([100]);
    history.take('a', '2', 5000, 5000);
    expect(history.ratesOf('a')).toEqual([]);
    for (let i = 1; i <= 2 * POINTS; i++) history.take('a', '2', 5000 + i, 5000 + 1000 * i);
    expect(history.ratesOf('a')).toEqual(Array.from({ length: POINTS }, () => 1));
    history.take('a', '2', 15_000, 5000 + 1000 * 2 * POINTS + 10_000); // after a pause of five points
    expect(history.ratesOf('a').slice(-6).map(Math.round)).toEqual([1, 988, 988, 988, 988, 988]);
    expect(history.ratesOf('a')).toHaveLength(POINTS);
    history.keepOnly(new Set());
    expect(history.ratesOf('a')).toEqual([]);
  });

  test('when rates are drawn, then the newest is at the right edge, and the largest at the top', () => {
    expect(sparkPath([1], 59, 10)).toBe('');
    expect(sparkPath([0, 4, 2], 59, 10)).toBe('M57.0 10.0L58.0 0.0L59.0 5.0');
    expect(sparkPath([0, 0], 59, 10)).toBe('M58.0 10.0L59.0 10.0');
  });

  test('when a distribution is drawn, then the tallest bar has the whole height, and a single bar is narrow and in the middle', () => {
    expect(barsPath([2n, 0, 4], 24, 10)).toBe('M10.50 10v-5.00h0.90v5.00zM11.50 10v0.00h0.90v0.00zM12.50 10v-10.00h0.90v10.00z');
    expect(barsPath([7], 24, 10)).toBe('M11.50 10v-10.00h0.90v10.00z');
    expect(barsPath([], 24, 10)).toBe('');
  });

  test('when files are not shown, then their number and the reason are', () => {
    expect(notShown({ running: 3 }, 0)).toBe('');
    expect(notShown({ unreadable: 2 }, 2)).toBe('');
    expect(notShown({ duplicate: 1, forgotten: 2000, unreadable: 3 }, 1)).toBe(
      'Region files not shown: 1 with the name of another, 2,000 dead for too long, 2 that cannot be read',
    );
  });
});

describe('given an agent', () => {
  const schema = defineSchema({
    g: group({ n: inc('n'), sent_bytes: inc('b', { unit: 'bytes' }), level: store('l'), took: latency('t') }),
    d: perDevice({ k: inc('k') }),
  });

  test('when a browser asks for the page, then its files come, and load nothing from elsewhere', async () => {
    const agent = await runAgent([temporaryFolder()]);
    const page = await fetch(agent.url);
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const policy = page.headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    const text = await page.text();
    expect(text).not.toMatch(/https?:|<style|style=|\son\w+=|<script>/);
    for (const [, file] of text.matchAll(/(?:src|href)="([^"]+\.(?:js|css))"/g)) {
      const answer = await fetch(new URL(file!, agent.url));
      expect(answer.status).toBe(200);
      expect(await answer.text()).not.toMatch(/https?:\/\/(?!www\.w3\.org\/2000\/svg)/);
    }
    expect(text.match(/(?:src|href)="[^"]+\.(?:js|css)"/g)).toHaveLength(2);
  });

  test('when it has a token, then the page comes without it, and the data does not', async () => {
    const file = join(temporaryFolder(), 'token');
    writeFileSync(file, 'secret-secret-secret-secret-1234', { mode: 0o600 });
    const agent = await runAgent([temporaryFolder()], ['--token-file', file]);
    expect((await fetch(agent.url)).status).toBe(200);
    for (const path of ['data/fleet', 'data/events', 'data/vm/x']) expect((await fetch(new URL(path, agent.url))).status).toBe(401);
    const headers = { authorization: `Bearer ${readFileSync(file, 'utf8')}` };
    expect((await fetch(new URL('data/fleet', agent.url), { headers })).status).toBe(200);
  });

  test('when a client listens, then what is known comes first, and the newest data at once after it', async () => {
    const folder = temporaryFolder();
    const metrics = closing(Metrics.open(schema, { name: freshName(), file: join(folder, 'vm0.region') }));
    metrics.app.g.n.add(7);
    const agent = await runAgent([folder]);
    const { body } = await fetch(new URL('data/events', agent.url));
    let text = '';
    for await (const part of body!.pipeThrough(new TextDecoderStream())) {
      text += part;
      if (text.split('\n\n').length > 2) break;
    }
    const [known, newest] = text.split('\n\n').map((event) => JSON.parse(event.slice('data: '.length) || 'null') as FleetData);
    expect(vmsOf(known!)).toMatchObject([{ name: 'vm0', state: 'running', events: null }]);
    expect(vmsOf(newest!)).toMatchObject([{ name: 'vm0', state: 'running', events: 7 }]);
  });

  test('when several clients listen, then each gets the newest data as soon as what is known has left', async () => {
    const events = new Events({ known: () => 'known', newest: () => 'newest' });
    const clients = [1, 2].map(() => {
      const texts: string[] = [];
      const client = { writableLength: 0, writeHead() {}, once() {}, end() {}, write: (text: string) => texts.push(text) };
      expect(events.add(client as unknown as ServerResponse)).toBe(true);
      return texts;
    });
    expect(clients).toEqual([['data: known\n\n'], ['data: known\n\n']]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(clients[0]).toEqual(['data: known\n\n', 'data: newest\n\n']);
    expect(clients[1]).toEqual(clients[0]);
    events.close();
  });

  test('when it sends its data, then it says how many events there were, and what is pending', async () => {
    const folder = temporaryFolder();
    const metrics = closing(Metrics.open(schema, { name: freshName(), file: join(folder, 'vm0.region') }));
    metrics.init(join(folder, 'lines'));
    const device = metrics.app.d.alloc('x');
    metrics.app.g.n.add(2);
    metrics.app.g.sent_bytes.add(1000);
    metrics.app.g.level.store(50);
    metrics.app.g.took.observe(30);
    device.k.add(3);
    metrics.write();
    device.k.add(4);
    metrics.app.d.remove('x');
    metrics.app.g.n.add(5);
    const agent = await runAgent([folder]);
    const [one] = vmsOf((await (await fetch(new URL('data/fleet', agent.url))).json()) as FleetData);
    expect(one).toMatchObject({ name: 'vm0', state: 'running', events: 14, hasPending: true });
    const data = await (await fetch(new URL('data/vm/vm0', agent.url))).json();
    expect(data).toMatchObject({ pending: { 'g.n': 5, 'd.k': 4 }, name: 'vm0' });
  });
});

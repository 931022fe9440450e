// What does the page of a host cost in Chromium, with a thousand virtual machines? An opening takes from the beginning
// of the navigation until the first row of the table has been drawn, by the clock; the start of a process of Chromium
// is a part of it. A tick is what the page does with the data that comes every two seconds, in processor time of the
// page's main thread.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { type Browser, type Screen, startBrowser, withoutChromium } from '../../test/helpers/browser.ts';
import { startAgent } from '../agent.ts';
import { startHost } from '../machines.ts';
import { folderInMemory } from '../store.ts';
import type { Measurement, Row, Sample, Subject } from '../subject.ts';
import type { Tree } from '../tree.ts';

const LIVING = 900;
const DEAD = 100;
/** How often each page is opened in a round. */
const OPENINGS = 3;
const TICKS = 5;
const TICK_MS = 2000;

/** Resolves when the browser has drawn the first row: milliseconds since the navigation began. */
const FIRST_ROW = `firstRow = new Promise((resolve) => {
  const drawn = () => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve(performance.now());
    port2.postMessage(undefined);
  });
  new MutationObserver((_, observer) => {
    if (document.querySelector('#table .row') === null) return;
    observer.disconnect();
    drawn();
  }).observe(document, { childList: true, subtree: true });
})`;

const SCREENS = [
  { width: 1400, height: 850, isDark: false },
  { width: 1400, height: 850, isDark: true },
  { width: 390, height: 800, isDark: false },
  { width: 390, height: 800, isDark: true },
] as const satisfies Screen[];
const named = ({ width, isDark }: Screen) => `${width} px, ${isDark ? 'dark' : 'light'}`;
const FIRST = 'the first opening of a new agent in a new browser';
const opening = (screen: Screen) => `${named(screen)}: an opening`;
const tick = (screen: Screen) => `${named(screen)}: a tick`;

async function measured(tree: Tree): Promise<Map<string, Sample[]>> {
  const folder = folderInMemory();
  const living = await startHost(tree, folder, LIVING, DEAD);
  const { agent, port } = await startAgent(tree, join(folder, '*', 'metrics.region'), true);
  const browser = startBrowser();
  try {
    return await measuredIn(browser, `http://127.0.0.1:${port}/`);
  } finally {
    await browser.close();
    agent.kill('SIGKILL');
    for (const child of living) child.kill('SIGKILL');
  }
}

async function measuredIn(browser: Browser, url: string): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>();
  const take = (row: string, value: number) => samples.set(row, [...(samples.get(row) ?? []), { value }]);
  const opened = async (screen: Screen) => {
    const page = await browser.open(url, { ...screen, before: FIRST_ROW });
    return { page, firstMs: await page.evaluate<number>('firstRow') };
  };
  const openOnce = async (row: string, screen: Screen) => {
    const { page, firstMs } = await opened(screen);
    take(row, firstMs);
    await page.close();
  };
  await openOnce(FIRST, SCREENS[0]);
  for (let i = 0; i < OPENINGS; i++) for (const screen of SCREENS) await openOnce(opening(screen), screen);
  const pages = await Promise.all(SCREENS.map(async (screen) => ({ screen, ...(await opened(screen)) })));
  await ticks(2); // the browser compiles, and the lines of the rates begin
  const worked = () => Promise.all(pages.map(({ page }) => page.workedMs()));
  const before = await worked();
  await ticks(TICKS);
  const after = await worked();
  for (const [i, { screen }] of pages.entries()) take(tick(screen), (after[i]! - before[i]!) / TICKS);
  for (const { page } of pages) if (page.complaints.length > 0) throw new Error(page.complaints.join('; '));
  return samples;
}

const ticks = (count: number) => new Promise((resolve) => setTimeout(resolve, count * TICK_MS));

export const subject: Subject = {
  name: 'pages',
  rows: [
    { name: FIRST, unit: 'ms', bound: { atMost: 1000 } },
    ...SCREENS.flatMap((screen): Row[] => [
      { name: opening(screen), unit: 'ms', bound: { atMost: 1000 } },
      { name: tick(screen), unit: 'ms', bound: { atMost: 20 } },
    ]),
  ],
  async measure(trees) {
    const measurements: Measurement[] = [];
    for (const [i, tree] of trees.entries()) {
      const absent = withoutChromium ?? (existsSync(join(tree.folder, 'dist/lib/serve/page.js')) ? undefined : 'there is no page');
      const samples = absent === undefined ? await measured(tree) : new Map<string, Sample[]>();
      for (const { name } of subject.rows) {
        measurements.push({ row: name, tree: i, samples: samples.get(name) ?? [], ...(absent !== undefined && { absent }) });
      }
    }
    return measurements;
  },
};

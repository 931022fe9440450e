// The page of the agent in a real browser: what an operator sees and does.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defineSchema, group, inc, latency, Metrics, perDevice } from 'vmm-metrics';

import { runAgent } from './helpers/agent.ts';
import { type Browser, type Page, startBrowser, withoutChromium } from './helpers/browser.ts';
import { Model, NOTHING } from './helpers/model.ts';
import { type RegionOptions, writeRegion } from './helpers/region-writer.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';

const because = withoutChromium === undefined ? '' : ` (skipped: ${withoutChromium})`;

const schema = defineSchema({
  vcpu: group({ exits: inc('Exits of the vCPU'), time: latency('Time of an exit', { histogram: true }) }),
  disk: perDevice({ read_bytes: inc('Data read') }),
});

/** A folder with a running store, and the files of processes that died in different ways. */
function host() {
  const folder = temporaryFolder();
  const dead = (name: string, options: RegionOptions) => {
    mkdirSync(join(folder, name));
    const model = new Model(schema.shape, {});
    model.holders[0]!.bump('exits', 5n);
    writeRegion(join(folder, name, 'metrics.region'), model, NOTHING, options);
  };
  const startedNs = BigInt(Date.now()) * 1_000_000n;
  dead('killed', {});
  dead('crashed', { state: 3, startedNs, crash: { signal: 11, code: 1, address: 0x7f10n, threadId: 9, ns: startedNs } });
  dead('exited', { state: 4 });
  dead('panicked', { state: 5 });
  dead('closed', { state: 2 });
  const metrics = closing(Metrics.open(schema, { name: freshName(), file: join(folder, 'live.region'), properties: { zone: 'b' } }));
  metrics.app.vcpu.exits.add(1_234_567n);
  for (const us of [3, 40, 41, 900]) metrics.app.vcpu.time.observe(us);
  metrics.app.disk.alloc('<b>"d').read_bytes.add(2n ** 53n + 1n);
  return { folder, metrics };
}

const rows = (page: Page) =>
  page.evaluate<string[]>('[...document.querySelectorAll("#table .row:not([hidden])")].map((row) => row.innerText)');
const panelText = (page: Page) => page.evaluate<string>('document.getElementById("panel").innerText');
/** The value that the panel shows of a metric. */
const shownValue = (name: string) =>
  `[...document.querySelectorAll('.metric')].find((one) => one.querySelector('.name').innerText === '${name}')?.querySelector('.value').innerText`;

describe.skipIf(withoutChromium)(`given the page in Chromium${because}`, () => {
  let browser: Browser;
  beforeAll(() => {
    browser = startBrowser();
  });
  afterAll(() => browser.close());

  test.each([
    { width: 1400, height: 850, isDark: false },
    { width: 390, height: 800, isDark: true },
  ])('when it is $width pixels wide, then it shows each machine, opens one by keyboard, and nothing is cut off', async (screen) => {
    const { folder, metrics } = host();
    const agent = await runAgent([folder]);
    const page = await browser.open(agent.url, screen);
    await page.until('document.querySelectorAll("#table .row:not([hidden])").length === 6');
    const shown = await rows(page);
    expect(shown[0]).toMatch(/crashed[\s\S]*SIGSEGV at 0x7f10/);
    expect(shown[1]).toMatch(/panicked[\s\S]*uncaught error/);
    expect(shown[2]).toMatch(/killed[\s\S]*no handler ran[\s\S]*not flushed/);
    expect(shown[3]).toMatch(/exited[\s\S]*exit code/);
    expect(shown[4]).toMatch(/running[\s\S]*live[\s\S]*up /);
    expect(shown[5]).toMatch(/closed[\s\S]*closed by its process/);
    const isInside = `document.documentElement.scrollWidth <= ${screen.width}`;
    expect(await page.evaluate(isInside)).toBe(true);
    const dark = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
    expect(dark).toBe(screen.isDark ? 'rgb(21, 24, 27)' : 'rgb(255, 255, 255)');
    // The filter, down to the row, and into the panel.
    await page.press('/');
    for (const letter of 'zone=b') await page.press(letter);
    await page.until('document.querySelectorAll("#table .row:not([hidden])").length === 1');
    await page.press('ArrowDown');
    await page.press('Enter');
    await page.until(`${shownValue('exits')} === '1,234,567'`);
    expect(await page.evaluate(shownValue('read_bytes'))).toBe('9,007,199,254,740,993');
    const text = await panelText(page);
    expect(text).toContain('disk <b>"d');
    expect(text).toContain('median 4');
    expect(await page.evaluate("document.querySelectorAll('.mini .bars path[d^=M]').length")).toBe(1);
    expect(await page.evaluate(isInside)).toBe(true);
    // Its numbers follow the cells.
    metrics.app.vcpu.exits.inc();
    await page.until(`${shownValue('exits')} === '1,234,568'`);
    await page.until("document.querySelector('.flush ul').textContent.includes('vcpu.exits +1,234,568')");
    expect(await page.evaluate("document.querySelector('.flush summary').textContent")).toBe('3 counters are not in a line yet');
    await page.press('Escape');
    await page.until('document.getElementById("panel").hidden');
    expect(page.complaints).toEqual([]);
  });

  test('when a dead process has values that are in no line, then its panel has the command that flushes them', async () => {
    const { folder } = host();
    const agent = await runAgent([folder]);
    const page = await browser.open(`${agent.url}/#killed`);
    await page.until("document.querySelector('.flush pre') !== null");
    expect(await page.evaluate("document.querySelector('.flush pre').innerText")).toBe(
      `vmm-metrics flush ${join(folder, 'killed/metrics.region')}`,
    );
    await page.until("document.querySelector('.metric') !== null");
    await page.evaluate("document.querySelector('.metric').click()");
    await page.until("document.querySelector('.detail:not([hidden])')?.innerText.includes('Exits of the vCPU') === true");
    expect(page.complaints).toEqual([]);
  });

  test('when the agent has a token, then the page asks for it', async () => {
    const { folder } = host();
    const token = join(temporaryFolder(), 'token');
    writeFileSync(token, 'secret-1');
    const agent = await runAgent([folder], ['--token-file', token]);
    const page = await browser.open(agent.url);
    await page.until('document.getElementById("login")?.hidden === false');
    await page.evaluate("document.getElementById('token').focus()");
    for (const letter of 'secret-1') await page.press(letter);
    await page.press('Enter');
    await page.until('document.querySelectorAll("#table .row:not([hidden])").length === 6');
    expect(await page.evaluate('document.getElementById("login").hidden')).toBe(true);
  });

  test('when nobody sees the page, then it gives its connection back, and it goes on when it is seen', async () => {
    const { folder, metrics } = host();
    const agent = await runAgent([folder]);
    const page = await browser.open(agent.url);
    await page.until('document.querySelectorAll("#table .row:not([hidden])").length === 6');
    const see = (isHidden: boolean) =>
      page.evaluate(
        `Object.defineProperty(document, 'hidden', { value: ${isHidden}, configurable: true }); document.dispatchEvent(new Event('visibilitychange'))`,
      );
    await see(true);
    metrics.close();
    await new Promise((resolve) => setTimeout(resolve, 2500)); // longer than from one event to the next
    expect((await rows(page)).filter((row) => row.includes('running'))).toHaveLength(1);
    await see(false);
    await page.until('![...document.querySelectorAll("#table .row:not([hidden])")].some((row) => row.innerText.includes("running"))');
  });
});

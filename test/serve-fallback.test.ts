// The agent without the renderer in native code gives the same answers.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { group, histogram, inc, latency, perDevice, store } from 'vmm-metrics';

import { type RunningAgent, runAgent } from './helpers/agent.ts';
import { Model, NOTHING } from './helpers/model.ts';
import { regionBytes } from './helpers/region-writer.ts';
import { temporaryFolder } from './helpers/workplace.ts';

const WITHOUT_RENDERER = fileURLToPath(new URL('./fixtures/without-renderer.cjs', import.meta.url));
const OPENMETRICS = 'application/openmetrics-text; version=1.0.0';

/** Virtual machines of two schemas, with devices. */
function folderOfVms(): string {
  const folder = temporaryFolder();
  const fields = { n: inc('n'), level: store('level'), wait_us: latency('wait'), sizes: histogram('sizes', { unit: 'bytes' }) };
  for (let i = 0; i < 20; i++) {
    const model = new Model({ g: group(i % 2 === 0 ? fields : { ...fields, more: inc('more') }), disk: perDevice(fields) }, {});
    for (let disk = 0; disk < i % 4; disk++) model.alloc('disk', `disk "${disk}"`);
    for (const [at, holder] of model.holders.entries()) {
      for (const name of holder.states.keys()) holder.bump(name, BigInt(1_000_000 * i + at));
    }
    writeFileSync(join(folder, `vm${i}.region`), regionBytes(model, NOTHING));
  }
  return folder;
}

/** The lines of an answer that are about virtual machines. */
async function linesOf(agent: RunningAgent, path: string, accept: string): Promise<string[]> {
  const { status, text } = await agent.get(path, { accept });
  expect(status).toBe(200);
  return text.split('\n').filter((line) => !line.includes('vmm_agent_'));
}

test('given an agent whose addon cannot render, when it is scraped, then its answers are those of an agent with native code', async () => {
  const folder = folderOfVms();
  const native = await runAgent([folder]);
  const fallback = await runAgent([folder], [], undefined, ['--require', WITHOUT_RENDERER]);
  for (const accept of ['text/plain', OPENMETRICS]) {
    for (const path of ['/metrics', '/metrics?detail=vm', '/metrics?name[]=vmm_g_n_total', '/vm/vm3/metrics']) {
      const lines = await linesOf(fallback, path, accept);
      expect(lines.length).toBeGreaterThan(20);
      expect(lines).toEqual(await linesOf(native, path, accept));
    }
  }
  expect(fallback.report()).toContain('without a renderer');
  expect(fallback.report()).not.toContain('failed');
});

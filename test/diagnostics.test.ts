// The channels of Node's diagnostics_channel, and the end of the periodic flush.

import { spawnSync } from 'node:child_process';
import { channel } from 'node:diagnostics_channel';
import { closeSync, openSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { defineSchema, group, inc, Metrics, MetricsError } from 'vmm-metrics';

import { node } from './helpers/children.ts';
import { HANG_MS } from './helpers/limits.ts';
import { closing, freshName, linesIn, temporaryFolder } from './helpers/workplace.ts';

const schema = defineSchema({ vcpu: group({ exits: inc('Exits') }) });

const built = new URL('../dist/lib/index.js', import.meta.url).href;
const testAddon = fileURLToPath(new URL('./addon/build/Release/vmm_test.node', import.meta.url));

/** The messages of a channel, and a promise for the next one. */
function heard(name: string) {
  const messages: unknown[] = [];
  let wake = () => {};
  const listener = (message: unknown) => {
    messages.push(message);
    wake();
  };
  channel(name).subscribe(listener);
  onTestFinished(() => void channel(name).unsubscribe(listener));
  return {
    messages,
    async until(count: number) {
      while (messages.length < count) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
}

describe('given a sink that is full', () => {
  test('when a line does not get out, then a message has the error that write() throws', async () => {
    const { messages, until } = heard('vmm-metrics:missed');
    const name = freshName();
    const metrics = closing(Metrics.open(schema, { name }));
    metrics.init('/dev/full');
    expect(() => metrics.write()).toThrow('Failed to write metrics');
    expect(messages).toEqual([]);
    await until(1);
    expect(messages).toEqual([{ name, error: expect.any(MetricsError) }]);
    const { error } = messages[0] as { error: MetricsError };
    expect(error.code).toBe('ERR_METRICS_WRITE');
    expect(error.cause).toMatchObject({ code: 'ENOSPC', syscall: 'write' });
  });

  test('when the flush thread misses lines, then each gives a message on the thread that opened the store', async () => {
    const { messages, until } = heard('vmm-metrics:missed');
    const name = freshName();
    const metrics = closing(Metrics.open(schema, { name }));
    metrics.init('/dev/full');
    metrics.startPeriodicFlush({ intervalMs: 1 });
    await until(3);
    metrics.stopPeriodicFlush();
    expect(messages.every((message) => (message as { name: string }).name === name)).toBe(true);
  });

  test('when a worker misses a line, then the message is on the thread that opened the store', async () => {
    const { messages, until } = heard('vmm-metrics:missed');
    const name = freshName();
    const metrics = closing(Metrics.open(schema, { name }));
    metrics.init('/dev/full');
    const source = `
      const { channel } = await import('node:diagnostics_channel');
      const { parentPort } = await import('node:worker_threads');
      const { Metrics, defineSchema, group, inc } = await import(${JSON.stringify(built)});
      let heard = 0;
      channel('vmm-metrics:missed').subscribe(() => heard++);
      const metrics = Metrics.open(defineSchema({ vcpu: group({ exits: inc('Exits') }) }), { name: ${JSON.stringify(name)} });
      try { metrics.write(); } catch (error) { if (error.code !== 'ERR_METRICS_WRITE') throw error; }
      await new Promise((resolve) => setTimeout(resolve, 20));
      parentPort.postMessage(heard);
    `;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
    const heardInWorker = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    await until(1);
    await worker.terminate();
    expect(heardInWorker).toBe(0);
    expect(messages).toHaveLength(1);
  });

  test('when the store is closed right after a missed line, then no message follows', async () => {
    const { messages } = heard('vmm-metrics:missed');
    const metrics = Metrics.open(schema, { name: freshName() });
    metrics.init('/dev/full');
    expect(() => metrics.write()).toThrow();
    metrics.close();
    for (let i = 0; i < 20; i++) await turn();
    expect(messages).toEqual([]);
  });
});

test('given a region file that is cut short, when a line is flushed, then one message names the file', async () => {
  const { messages, until } = heard('vmm-metrics:degraded');
  const folder = temporaryFolder();
  const file = join(folder, 'region');
  const name = freshName();
  const metrics = closing(Metrics.open(schema, { name, file }));
  metrics.init(join(folder, 'lines'));
  metrics.captureSignals();
  truncateSync(file, 0);
  metrics.app.vcpu.exits.inc();
  metrics.write();
  await until(1);
  metrics.write();
  for (let i = 0; i < 20; i++) await turn();
  expect(messages).toEqual([{ name, file }]);
});

test('given captured signals, when native code replaces a handler, then the next flush gives a message that names the signal', () => {
  const source = `
    import { channel } from 'node:diagnostics_channel';
    import { createRequire } from 'node:module';
    import { defineSchema, group, inc, Metrics } from ${JSON.stringify(built)};
    const { setIgnored } = createRequire(import.meta.url)(${JSON.stringify(testAddon)});
    const metrics = Metrics.open(defineSchema({ vcpu: group({ exits: inc('Exits') }) }), { name: 'vm0' });
    metrics.init('/dev/null');
    metrics.captureSignals({ signals: ['SIGHUP'] });
    const heard = new Promise((resolve) => channel('vmm-metrics:displaced').subscribe(resolve));
    setIgnored(1); // SIGHUP
    metrics.write();
    const keepAlive = setInterval(() => {}, 1000);
    console.log(JSON.stringify(await heard));
    clearInterval(keepAlive);
  `;
  const { stdout, stderr } = spawnSync(node, ['--input-type=module', '-e', source], { encoding: 'utf8', timeout: HANG_MS });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual({ name: 'vm0', signals: ['SIGHUP'] });
});

describe('given a periodic flush', () => {
  test('when it is stopped, then no line follows, and it can be started again', async () => {
    const sink = join(temporaryFolder(), 'lines');
    closeSync(openSync(sink, 'w'));
    const metrics = closing(Metrics.open(schema, { name: freshName() }));
    metrics.init(sink);
    metrics.stopPeriodicFlush(); // there is none yet
    const untilLines = async (count: number) => {
      while (linesIn(sink).length < count) await new Promise((resolve) => setTimeout(resolve, 2));
    };
    metrics.startPeriodicFlush({ intervalMs: 1 });
    await untilLines(3);
    metrics.stopPeriodicFlush();
    const text = readFileSync(sink, 'utf8');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(readFileSync(sink, 'utf8')).toBe(text);
    metrics.startPeriodicFlush({ intervalMs: 1 });
    await untilLines(linesIn(sink).length + 2);
  });

  test('when the store is closed, then stopping it says so', () => {
    const metrics = Metrics.open(schema, { name: freshName() });
    metrics.close();
    expect(() => metrics.stopPeriodicFlush()).toThrow(expect.objectContaining({ code: 'ERR_METRICS_CLOSED' }));
  });
});

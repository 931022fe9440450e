// One increment is the same number through every exit.

import { createServer } from 'node:http';
import { join } from 'node:path';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import * as successor from '@prometheus-io/client';
import * as promClient from 'prom-client';
import { expect, onTestFinished, test } from 'vitest';
import { Metrics, readRegion } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';
import { metricProducer } from 'vmm-metrics/opentelemetry';
import { collectors, exposition } from 'vmm-metrics/prometheus';

import { runAgent } from './helpers/agent.ts';
import { startBrowser, withoutChromium } from './helpers/browser.ts';
import { cli } from './helpers/command.ts';
import { metricFamiliesIn, plainSamplesIn } from './helpers/metric-family.ts';
import { resourcesIn } from './helpers/otlp.ts';
import { closing, freshName, linesIn, temporaryFolder } from './helpers/workplace.ts';

const DEVICE = 'rootfs';
/** Each digit is another one, so no other number of the test looks like this one. */
const VALUE = 1_234_567_890n;

/** A store in a region file, whose counter of a device has gone up by one increment, and was flushed. */
function counted() {
  const folder = temporaryFolder();
  const file = join(folder, 'vm0.region');
  const sink = join(folder, 'lines');
  const metrics = closing(Metrics.open(firecracker, { name: freshName(), file }));
  metrics.init(sink);
  const device = metrics.app.block.alloc(DEVICE);
  device.read_bytes.add(VALUE - 1n);
  metrics.app.block.alloc('other').read_bytes.add(5n);
  device.read_bytes.inc();
  metrics.write();
  return { metrics, folder, file, sink };
}

/** The request that an agent sends to an OpenTelemetry receiver. */
async function otlpRequestOf(folder: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        response.end();
        resolve(Buffer.concat(parts));
      });
    });
    onTestFinished(() => void server.close());
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      runAgent([folder], ['--otlp', `http://127.0.0.1:${port}`]).catch(reject);
    });
  });
}

class Reader extends MetricReader {
  override async onShutdown() {}
  override async onForceFlush() {}
}

test('given one increment, when it is read in every way, then each way gives the same number', async () => {
  const { metrics, folder, file, sink } = counted();
  const agent = await runAgent([folder]);
  const sample = (labels: string) => new RegExp(`^vmm_block_read_bytes_total\\{${labels}\\} (\\d+)$`, 'm');
  const inText = (text: string, vm = '') => BigInt(sample(`${vm}device="${DEVICE}"`).exec(text)![1]!);
  const ofAgent = (text: string) => inText(text, 'vm="vm0",');
  const registryText = async ({ Registry }: typeof promClient) => {
    const registry = new Registry();
    for (const collector of collectors(metrics)) registry.registerMetric(collector);
    return await registry.metrics();
  };
  const reader = new Reader({ metricProducers: [metricProducer(metrics)] });
  new MeterProvider({ readers: [reader] });
  const { resourceMetrics } = await reader.collect();
  const sum = resourceMetrics.scopeMetrics[0]!.metrics.find(({ descriptor }) => descriptor.name === 'vmm.block.read_bytes')!;
  const key = `vmm_block_read_bytes_total{vm="vm0",device="${DEVICE}"}`;
  const protobuf = (
    await agent.get('/metrics', { accept: 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited' })
  ).body;
  const sent = resourcesIn(await otlpRequestOf(folder))
    .get('vm0')!
    .metrics.get('vmm.block.read_bytes')!;
  const reading = await readRegion(file);
  const { metrics: onPage } = JSON.parse((await agent.get('/data/vm/vm0')).text) as { metrics: { path: string; value: number }[] };
  const path = `block_${DEVICE}.read_bytes`;
  const ways = {
    accessor: metrics.app.block.alloc(DEVICE).read_bytes.count(),
    line: (linesIn(sink)[0] as Record<string, { read_bytes: bigint }>)[`block_${DEVICE}`]!.read_bytes,
    snapshot: metrics.snapshot().block.devices[DEVICE]!.read_bytes,
    collect: metrics.collect().find((one) => one.path === path)!.value,
    region: reading.collect().find((one) => one.path === path)!.value,
    show: BigInt(new RegExp(`"${DEVICE}":\\{[^}]*?"read_bytes":(\\d+)`).exec((await cli('show', '--json', file)).stdout)![1]!),
    lines: BigInt(new RegExp(`block_${DEVICE}\\.read_bytes\\s+([\\d,]+)`).exec((await cli('lines', sink)).stdout)![1]!.replaceAll(',', '')),
    promClient: inText(await registryText(promClient)),
    successor: inText(await registryText(successor as unknown as typeof promClient)),
    openTelemetry: BigInt(sum.dataPoints.find(({ attributes }) => attributes['device'] === DEVICE)!.value as number),
    exposition: inText(exposition(metrics)),
    expositionOfRegion: inText(exposition(reading)),
    scrapeOfFleet: ofAgent((await agent.get('/metrics')).text),
    scrapeOfVm: ofAgent((await agent.get('/vm/vm0/metrics')).text),
    scrapeAsOpenMetrics: ofAgent((await agent.get('/metrics', { accept: 'application/openmetrics-text' })).text),
    scrapeAsProtobuf: BigInt(plainSamplesIn(metricFamiliesIn(protobuf)).get(key)!),
    otlp: sent.points.find(({ attributes }) => attributes['device'] === DEVICE)!.value,
    dataOfPage: BigInt(onPage.find((one) => one.path === path)!.value),
  };
  expect(ways).toEqual(Object.fromEntries(Object.keys(ways).map((way) => [way, VALUE])));
});

test.skipIf(withoutChromium)(
  `given one increment, when the page is looked at in Chromium, then it shows the same number${withoutChromium ? ` (skipped: ${withoutChromium})` : ''}`,
  async () => {
    const { metrics, folder } = counted();
    const agent = await runAgent([folder]);
    const browser = startBrowser();
    onTestFinished(() => browser.close());
    const page = await browser.open(`${agent.url}/#vm0`);
    const shown = `(() => {
      const section = [...document.querySelectorAll('section')].find((one) => one.querySelector('h3').innerText === 'block ${DEVICE}');
      const metric = [...(section?.querySelectorAll('.metric') ?? [])].find((one) => one.querySelector('.name').innerText === 'read_bytes');
      return metric?.querySelector('.value').innerText;
    })()`;
    await page.until(`${shown} !== undefined`);
    expect(await page.evaluate(shown)).toBe('1,234,567,890');
    metrics.app.block.alloc(DEVICE).read_bytes.inc();
    await page.until(`${shown} === '1,234,567,891'`);
  },
);

// What the agent sends to an OpenTelemetry receiver, and what it does when the receiver fails.

import { mkdirSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { defineSchema, group, histogram, latency, Metrics } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { elsewhere, runAgent } from './helpers/agent.ts';
import { cli } from './helpers/command.ts';
import { resourcesIn } from './helpers/otlp.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';

/** A receiver, which answers the n-th request as `answer` says. */
async function runReceiver(answer: (response: ServerResponse, n: number) => void = (response) => response.end(), host = '127.0.0.1') {
  const bodies: Buffer[] = [];
  const requests: IncomingMessage[] = [];
  const waiting: (() => void)[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts);
      bodies.push(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body);
      requests.push(request);
      answer(response, bodies.length);
      for (const wake of waiting.splice(0)) wake();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as { port: number };
  const until = async (count: number) => {
    while (bodies.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  return { url: `http://${host}:${port}`, bodies, requests, until };
}

function vm(folder: string, name: string, options: object = {}) {
  mkdirSync(join(folder, name));
  return closing(Metrics.open(firecracker, { name: freshName(), file: join(folder, name, 'metrics.region'), ...options }));
}

describe('given an agent that sends to an OpenTelemetry receiver', () => {
  test('when the receiver decodes a request, then it finds the values of the cells', async () => {
    const folder = temporaryFolder();
    const { app } = vm(folder, 'vm0', { id: 'i-0', properties: { zone: 'b' } });
    vm(folder, 'vm1').close();
    app.vcpu.exit_io_in.add(2n ** 53n + 1n);
    app.vcpu.exit_io_out.add(2n ** 63n);
    app.vcpu.exit_io_in_agg.observe(41);
    app.vcpu.exit_io_in_agg.observe(2);
    for (const id of ['a', 'b']) app.block.alloc(id).read_bytes.add(id === 'a' ? 5 : 6);
    app.signals.sigsegv.store(3n);
    const receiver = await runReceiver();
    await runAgent([join(folder, '*/metrics.region')], ['--otlp', receiver.url]);
    await receiver.until(1);
    expect(receiver.requests[0]!.url).toBe('/v1/metrics');
    const { headers } = receiver.requests[0]!;
    expect([headers['content-type'], headers['content-encoding']]).toEqual(['application/x-protobuf', undefined]);
    const resources = resourcesIn(receiver.bodies[0]!);
    expect([...resources.keys()]).toEqual(['vm0', 'vm1']);
    const { metrics, scopes, attributes } = resources.get('vm0')!;
    expect(scopes).toEqual(['vmm-metrics']);
    expect(attributes).toMatchObject({ 'service.name': 'vmm', 'host.name': hostname(), 'vmm.id': 'i-0', 'vmm.property.zone': 'b' });
    const counter = metrics.get('vmm.vcpu.exit_io_in')!;
    expect(counter).toMatchObject({ kind: 'sum', temporality: 'CUMULATIVE', isMonotonic: true, unit: '' });
    expect(counter.points).toMatchObject([{ attributes: {}, value: 2n ** 53n + 1n }]);
    expect(metrics.get('vmm.vcpu.exit_io_out')!.points[0]!.value).toBe(2 ** 63);
    expect(metrics.get('vmm.block.read_bytes')).toMatchObject({
      unit: 'By',
      points: [
        { attributes: { device: 'a' }, value: 5n },
        { attributes: { device: 'b' }, value: 6n },
      ],
    });
    expect(metrics.get('vmm.block.all.read_bytes')!.points).toMatchObject([{ attributes: {}, value: 11n }]);
    expect(metrics.get('vmm.signals.sigsegv')).toMatchObject({ kind: 'gauge', temporality: undefined, points: [{ value: 3n }] });
    const latency = metrics.get('vmm.vcpu.exit_io_in_agg')!;
    expect(latency).toMatchObject({ kind: 'histogram', temporality: 'CUMULATIVE', unit: 's' });
    const [{ start, time, ...point } = expect.fail('no point')] = latency.points;
    expect(point).toEqual({ attributes: {}, count: 2n, sum: 0.000043, min: 0.000002, max: 0.000041, bucketCounts: [2n] });
    expect(time).toBeGreaterThan(start);
    expect(start).toBeGreaterThan(1_600_000_000n * 1_000_000_000n);
    const states = resources.get('vm1')!.metrics.get('vmm.state')!.points;
    expect(states.filter(({ value }) => value === 1n).map((one) => one.attributes['state'])).toEqual(['closed']);
    expect(states.length).toBe(6);
  });

  test('when a metric is a histogram, then the request has the same buckets', async () => {
    const folder = temporaryFolder();
    const schema = defineSchema({ g: group({ size: histogram('sizes', { unit: 'bytes' }), time: latency('times', { histogram: true }) }) });
    const metrics = closing(Metrics.open(schema, { name: freshName(), file: join(folder, 'vm0.region') }));
    for (const size of [0, 3, 4096, 4100, 70_000]) metrics.app.g.size.observe(size);
    for (const us of [5, 900]) metrics.app.g.time.observe(us);
    const receiver = await runReceiver();
    await runAgent([folder], ['--otlp', receiver.url]);
    await receiver.until(1);
    const { metrics: found } = resourcesIn(receiver.bodies[0]!).get('vm0')!;
    for (const [name, unit, perUnit] of [
      ['size', 'By', 1],
      ['time', 's', 1e6],
    ] as const) {
      const { count, sum, min, max, scale, zeroCount, zeroThreshold, offset, bucketCounts } = metrics.app.g[name].read();
      expect(bucketCounts.length).toBeGreaterThan(1);
      expect(found.get(`vmm.g.${name}`)).toMatchObject({ kind: 'exponential_histogram', temporality: 'CUMULATIVE', unit });
      expect(found.get(`vmm.g.${name}`)!.points).toMatchObject([
        {
          ...{ count, sum: Number(sum) / perUnit, min: Number(min) / perUnit, max: Number(max) / perUnit },
          ...{ scale, zeroCount, zeroThreshold, offset, bucketCounts },
        },
      ]);
    }
  });

  test.skipIf(elsewhere === undefined)('when the receiver is not on loopback, then the request is compressed', async () => {
    const folder = temporaryFolder();
    vm(folder, 'vm0');
    const receiver = await runReceiver(undefined, elsewhere);
    await runAgent([folder], ['--otlp', receiver.url]);
    await receiver.until(1);
    expect(receiver.requests[0]!.headers['content-encoding']).toBe('gzip');
    expect([...resourcesIn(receiver.bodies[0]!).keys()]).toEqual(['vm0']);
  });

  test('when the receiver fails for a time, then the agent tries again, says so once, and loses no count', async () => {
    const folder = temporaryFolder();
    const { app } = vm(folder, 'vm0');
    const receiver = await runReceiver((response, n) => {
      response.statusCode = n <= 2 ? 503 : 200;
      response.end();
    });
    const agent = await runAgent([folder], ['--otlp', receiver.url, '--otlp-interval', '100ms']);
    await receiver.until(1);
    app.vcpu.exit_io_in.add(5);
    await receiver.until(4);
    const { metrics } = resourcesIn(receiver.bodies[3]!).get('vm0')!;
    expect(metrics.get('vmm.vcpu.exit_io_in')!.points[0]!.value).toBe(5n);
    const series = await agent.series();
    expect(series.get('vmm_agent_otlp_requests_total{result="failed"}')).toBe('2');
    expect(Number(series.get('vmm_agent_otlp_requests_total{result="accepted"}'))).toBeGreaterThan(0);
    expect(agent.report().match(/does not take metrics: it answered 503/g)).toHaveLength(1);
    expect(agent.report()).toContain('accepts metrics again');
  });

  test('when the receiver refuses one request, then the virtual machines of the others still arrive, and that is said once', async () => {
    const folder = temporaryFolder();
    for (let i = 10; i < 40; i++) vm(folder, `vm${i}`).close();
    const receiver = await runReceiver((response, n) => {
      response.statusCode = resourcesIn(receiver.bodies[n - 1]!).has('vm10') ? 400 : 200;
      response.end();
    });
    const agent = await runAgent([folder], ['--otlp', receiver.url, '--otlp-interval', '100ms']);
    await receiver.until(5);
    const sent = receiver.bodies.slice(0, 4).map((body) => [...resourcesIn(body).keys()]);
    expect(sent.map((names) => names.includes('vm39'))).toEqual([false, true, false, true]);
    expect(agent.report().match(/does not take metrics: it answered 400/g)).toHaveLength(1);
    expect(agent.report()).not.toContain('accepts metrics again');
  });

  test('when the receiver never answers, then scrapes are answered, and the agent ends when it is told to', async () => {
    const folder = temporaryFolder();
    vm(folder, 'vm0');
    const receiver = await runReceiver(() => {});
    const agent = await runAgent([folder], ['--otlp', receiver.url]);
    await receiver.until(1);
    for (let i = 0; i < 5; i++) expect((await agent.series('/vm/vm0/metrics')).get('vmm_up{vm="vm0"}')).toBe('1');
    expect(receiver.bodies.length).toBe(1);
    expect(await agent.stop()).toBe(0);
  });

  test('when there is no receiver, then that is reported, and the agent goes on', async () => {
    const folder = temporaryFolder();
    vm(folder, 'vm0');
    let heard = '';
    const agent = await runAgent([folder], ['--otlp', 'http://127.0.0.1:1/custom'], (part) => {
      heard += part;
    });
    while (!heard.includes('does not take metrics')) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(heard).toContain('the OpenTelemetry receiver http://127.0.0.1:1 does not take metrics');
    expect((await agent.get('/metrics')).status).toBe(200);
  });

  test.each([
    { args: ['--otlp', 'localhost:4318'], says: "--otlp must be a URL of http or https; got 'localhost:4318'" },
    { args: ['--otlp', 'x'], says: '--otlp must be a URL' },
    { args: ['--otlp-interval', '1s'], says: '--otlp-interval needs --otlp' },
    { args: ['--otlp', 'http://x', '--otlp-interval', '1ms'], says: '--otlp-interval must be at least 100ms' },
  ])('when the arguments are $args, then one line says why', async ({ args, says }) => {
    const { code, stderr } = await cli('serve', 'x', ...args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(says)]);
  });
});

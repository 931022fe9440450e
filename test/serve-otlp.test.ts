// What the agent sends to an OpenTelemetry receiver, and what it does when the receiver fails. The requests are decoded
// here by the rules of protobuf alone.

import { mkdirSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { defineSchema, group, histogram, latency, Metrics } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { runAgent } from './helpers/agent.ts';
import { cli } from './helpers/command.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';

/** A message: for each number of a field, its values. */
type Message = Map<number, (bigint | Buffer)[]>;

function decoded(bytes: Buffer): Message {
  const message: Message = new Map();
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const take = (length: number) => bytes.subarray(at, (at += length));
  while (at < bytes.length) {
    const tag = Number(varint());
    const value = [() => varint(), () => take(8), () => take(Number(varint()))][tag & 7]!();
    message.set(tag >>> 3, [...(message.get(tag >>> 3) ?? []), value]);
  }
  if (at !== bytes.length) throw new Error('the message is cut short');
  return message;
}

const varintsOf = (packed: Buffer) => {
  const values: bigint[] = [];
  let shift = 0n;
  let value = 0n;
  for (const byte of packed) {
    value |= BigInt(byte & 0x7f) << shift;
    shift += 7n;
    if (byte >= 0x80) continue;
    values.push(value);
    [value, shift] = [0n, 0n];
  }
  return values;
};

const messages = (message: Message, field: number) => ((message.get(field) ?? []) as Buffer[]).map(decoded);
const text = (message: Message, field: number) => (message.get(field)?.[0] as Buffer | undefined)?.toString();
const double = (message: Message, field: number) => (message.get(field)?.[0] as Buffer | undefined)?.readDoubleLE();
const fixed = (message: Message, field: number) => (message.get(field)?.[0] as Buffer | undefined)?.readBigInt64LE();
const attributes = (message: Message, field: number) =>
  Object.fromEntries(messages(message, field).map((pair) => [text(pair, 1), text(messages(pair, 2)[0]!, 1)]));

/** The resources of a request, by the name of their virtual machine. */
function resourcesOf(request: Buffer) {
  const resources = messages(decoded(request), 1).map((one) => {
    const [scope] = messages(one, 2);
    const metrics = new Map(messages(scope!, 2).map((metric) => [text(metric, 1)!, metric]));
    return { attributes: attributes(messages(one, 1)[0]!, 1), scope: text(messages(scope!, 1)[0]!, 1), metrics };
  });
  return new Map(resources.map((one) => [one.attributes['service.instance.id']!, one]));
}

/** A receiver, which answers the n-th request as `answer` says. */
async function runReceiver(answer: (response: ServerResponse, n: number) => void = (response) => response.end()) {
  const bodies: Buffer[] = [];
  const requests: IncomingMessage[] = [];
  const waiting: (() => void)[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      bodies.push(gunzipSync(Buffer.concat(parts)));
      requests.push(request);
      answer(response, bodies.length);
      for (const wake of waiting.splice(0)) wake();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as { port: number };
  const until = async (count: number) => {
    while (bodies.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  return { url: `http://127.0.0.1:${port}`, bodies, requests, until };
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
    expect(receiver.requests[0]!.headers).toMatchObject({ 'content-type': 'application/x-protobuf', 'content-encoding': 'gzip' });
    const resources = resourcesOf(receiver.bodies[0]!);
    expect([...resources.keys()]).toEqual(['vm0', 'vm1']);
    const { metrics, scope, attributes: about } = resources.get('vm0')!;
    expect(scope).toBe('vmm-metrics');
    expect(about).toMatchObject({ 'service.name': 'vmm', 'host.name': hostname(), 'vmm.id': 'i-0', 'vmm.property.zone': 'b' });
    const sum = (name: string) => messages(metrics.get(name)!, 7)[0]!;
    const counter = sum('vmm.vcpu.exit_io_in');
    expect([counter.get(2), counter.get(3)]).toEqual([[2n], [1n]]); // cumulative, monotonic
    expect(fixed(messages(counter, 1)[0]!, 6)).toBe(2n ** 53n + 1n);
    expect(double(messages(sum('vmm.vcpu.exit_io_out'), 1)[0]!, 4)).toBe(2 ** 63);
    const bytes = messages(sum('vmm.block.read_bytes'), 1).map((point) => [attributes(point, 7)['device'], fixed(point, 6)]);
    expect(bytes).toEqual([
      ['a', 5n],
      ['b', 6n],
    ]);
    expect(text(metrics.get('vmm.block.read_bytes')!, 3)).toBe('By');
    expect(fixed(messages(sum('vmm.block.all.read_bytes'), 1)[0]!, 6)).toBe(11n);
    expect(fixed(messages(messages(metrics.get('vmm.signals.sigsegv')!, 5)[0]!, 1)[0]!, 6)).toBe(3n);
    const histogram = messages(metrics.get('vmm.vcpu.exit_io_in_agg')!, 9)[0]!;
    const [point] = messages(histogram, 1);
    expect([fixed(point!, 4), double(point!, 5), double(point!, 11), double(point!, 12)]).toEqual([2n, 0.000043, 0.000002, 0.000041]);
    expect((point!.get(6)![0] as Buffer).readBigInt64LE()).toBe(2n);
    const [startNs, nowNs] = [fixed(point!, 2)!, fixed(point!, 3)!];
    expect(nowNs).toBeGreaterThan(startNs);
    expect(startNs).toBeGreaterThan(1_600_000_000n * 1_000_000_000n);
    const states = messages(messages(resources.get('vm1')!.metrics.get('vmm.state')!, 5)[0]!, 1);
    expect(states.filter((one) => fixed(one, 6) === 1n).map((one) => attributes(one, 7)['state'])).toEqual(['closed']);
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
    const { metrics: found } = resourcesOf(receiver.bodies[0]!).get('vm0')!;
    const expected = { size: metrics.app.g.size.read(), time: metrics.app.g.time.read() };
    for (const [name, perUnit] of [
      ['size', 1],
      ['time', 1e6],
    ] as const) {
      const { count, sum, min, max, scale, zeroCount, zeroThreshold, offset, bucketCounts } = expected[name]!;
      const data = messages(found.get(`vmm.g.${name}`)!, 10)[0]!;
      expect(data.get(2)).toEqual([2n]);
      const [point] = messages(data, 1);
      const [buckets] = messages(point!, 8);
      const zigzag = (field: number, of: Message) => {
        const value = Number((of.get(field)?.[0] ?? 0n) as bigint);
        return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      };
      expect([fixed(point!, 4), double(point!, 5), fixed(point!, 7)]).toEqual([count, Number(sum) / perUnit, zeroCount]);
      expect([double(point!, 12), double(point!, 13), double(point!, 14)]).toEqual([
        Number(min) / perUnit,
        Number(max) / perUnit,
        zeroThreshold,
      ]);
      expect([zigzag(6, point!), zigzag(1, buckets!)]).toEqual([scale, offset]);
      expect(varintsOf(buckets!.get(2)![0] as Buffer)).toEqual(bucketCounts);
      expect(bucketCounts.length).toBeGreaterThan(1);
    }
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
    const { metrics } = resourcesOf(receiver.bodies[3]!).get('vm0')!;
    expect(fixed(messages(messages(metrics.get('vmm.vcpu.exit_io_in')!, 7)[0]!, 1)[0]!, 6)).toBe(5n);
    const series = await agent.series();
    expect(series.get('vmm_agent_otlp_requests_total{result="failed"}')).toBe('2');
    expect(Number(series.get('vmm_agent_otlp_requests_total{result="accepted"}'))).toBeGreaterThan(0);
    expect(agent.report().match(/does not take metrics: it answered 503/g)).toHaveLength(1);
    expect(agent.report()).toContain('accepts metrics again');
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

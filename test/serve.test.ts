// `vmm-metrics serve`: what a client of the agent gets.

import { spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Metrics } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { formatFor } from '../lib/serve/accept.ts';
import { elsewhere, type RunningAgent, runAgent } from './helpers/agent.ts';
import { node } from './helpers/children.ts';
import { cli, oneLine } from './helpers/command.ts';
import { regionFile } from './helpers/counted-region.ts';
import { metricFamiliesIn, plainSamplesIn } from './helpers/metric-family.ts';
import { seriesOf } from './helpers/series.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';

/** A process of test/fixtures/region.mjs that counts, and then waits. */
async function runVm(file: string, steps: readonly string[] = ['open', 'add']) {
  const fixture = fileURLToPath(new URL('fixtures/region.mjs', import.meta.url));
  const child = spawn(node, [fixture, JSON.stringify({ file, steps: [...steps, 'print', 'wait'] })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return {
    kill: async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

function vmFolder(...names: string[]): string {
  const folder = temporaryFolder();
  for (const name of names) mkdirSync(join(folder, name));
  return folder;
}

/** Sends bytes, and resolves to what comes back until the server closes the connection. */
function sent(agent: RunningAgent, bytes: Uint8Array | string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(agent.url).port), '127.0.0.1');
    let text = '';
    socket.on('data', (part) => {
      text += part.toString('latin1');
    });
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(text) : reject(error),
    );
    socket.on('close', () => resolve(text));
    socket.end(bytes);
  });
}

describe('given an agent and running virtual machines', () => {
  test('when one is killed and started again, then each scrape shows how it is, and no series is there twice', async () => {
    const folder = vmFolder('vm0', 'vm1');
    const file = join(folder, 'vm0/metrics.region');
    const vm = await runVm(file);
    await runVm(join(folder, 'vm1/metrics.region'));
    const agent = await runAgent([join(folder, '*/metrics.region')]);
    const running = await agent.series();
    expect(running.get('vmm_up{vm="vm0"}')).toBe('1');
    expect(running.get('vmm_vcpu_exit_io_in_total{vm="vm0"}')).toBe('8');
    expect(running.get('vmm_pmem_activate_fails_total{vm="vm0",device="drv0"}')).toBe('5');
    expect(running.get('vmm_pmem_all_activate_fails_total{vm="vm0"}')).toBe('6');
    await vm.kill();
    const one = await agent.series('/vm/vm0/metrics');
    expect([one.get('vmm_up{vm="vm0"}'), one.get('vmm_state{vm="vm0",state="killed"}')]).toEqual(['0', '1']);
    await new Promise((resolve) => setTimeout(resolve, 250)); // after that, no scrape shares the answer of the first one
    const dead = await agent.series();
    expect([dead.get('vmm_up{vm="vm0"}'), dead.get('vmm_state{vm="vm0",state="killed"}')]).toEqual(['0', '1']);
    expect(dead.get('vmm_vcpu_exit_io_in_total{vm="vm0"}')).toBe('8');
    expect(dead.get('vmm_up{vm="vm1"}')).toBe('1');
    await runVm(file, ['open']);
    const again = await agent.series('/vm/vm0/metrics');
    expect([again.get('vmm_up{vm="vm0"}'), again.get('vmm_vcpu_exit_io_in_total{vm="vm0"}')]).toEqual(['1', '5']);
    expect(existsSync(`${file}.previous`)).toBe(true);
    expect(await agent.stop()).toBe(0);
  });

  test('when a store has 2,000 devices, then each device has its own series', async () => {
    const folder = vmFolder();
    const metrics = closing(Metrics.open(firecracker, { name: freshName(), file: join(folder, 'vm0.region') }));
    for (let i = 0; i < 2000; i++) metrics.app.net.alloc(`eth${i}`).tx_fails.add(i);
    const agent = await runAgent([folder]);
    const series = await agent.series();
    expect([...series.keys()].filter((key) => key.startsWith('vmm_net_tx_fails')).length).toBe(2000);
    expect(series.get('vmm_net_tx_fails_total{vm="vm0",device="eth1999"}')).toBe('1999');
    expect(series.get('vmm_net_all_tx_fails_total{vm="vm0"}')).toBe(`${(1999 * 2000) / 2}`);
    const sums = await agent.series('/metrics?detail=vm');
    expect(sums.get('vmm_net_all_tx_fails_total{vm="vm0"}')).toBe(`${(1999 * 2000) / 2}`);
    expect([...sums.keys()].filter((key) => key.includes('device="'))).toEqual([]);
    expect((await runAgent([folder], ['--detail', 'vm']).then((other) => other.series())).size).toBe(sums.size);
  });

  test('when the same counter is read in different ways, then it is the same number', async () => {
    const folder = vmFolder();
    const file = join(folder, 'vm0.region');
    const metrics = closing(Metrics.open(firecracker, { name: freshName(), file, id: 'i-1', properties: { zone: 'b' } }));
    metrics.app.vcpu.exit_io_in.add(2n ** 63n + 1n);
    const agent = await runAgent([folder]);
    const value = `${metrics.app.vcpu.exit_io_in.count()}`;
    expect((await agent.series()).get('vmm_vcpu_exit_io_in_total{vm="vm0"}')).toBe(value);
    expect((await agent.series('/vm/vm0/metrics')).get('vmm_vcpu_exit_io_in_total{vm="vm0"}')).toBe(value);
    expect((await agent.get('/data/vm/vm0')).text).toContain(`"path":"vcpu.exit_io_in","kind":"inc","unit":"count"`);
    expect((await agent.get('/data/vm/vm0')).text).toContain(`"value":${value}`);
    expect(JSON.parse((await agent.get('/data/fleet')).text)).toMatchObject({
      files: { running: 1 },
      vms: {
        name: ['vm0'],
        state: ['running'],
        pid: [process.pid],
        hasPending: [true],
        id: ['i-1'],
        properties: [{ zone: 'b' }],
        crash: [null],
      },
    });
  });

  test('when targets are asked for, then there is one for each virtual machine, with its properties', async () => {
    const folder = vmFolder('deep');
    const properties = { zone: 'b', 'rack.row': '7' };
    closing(Metrics.open(firecracker, { name: freshName(), file: join(folder, 'deep/v m?.region'), id: 'i-1', properties }));
    const agent = await runAgent([folder]);
    const { host } = new URL(agent.url);
    const { headers, text } = await agent.get('/sd');
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
    expect(JSON.parse(text)).toEqual([
      {
        targets: [host],
        labels: {
          instance: `${host}/vm/deep/v m?`,
          __metrics_path__: '/vm/deep/v m?/metrics',
          __meta_vmm_name: 'deep/v m?',
          __meta_vmm_file: join(folder, 'deep/v m?.region'),
          __meta_vmm_state: 'running',
          __meta_vmm_store: expect.any(String),
          __meta_vmm_id: 'i-1',
          __meta_vmm_property_zone: 'b',
          __meta_vmm_property_rack_row: '7',
        },
      },
    ]);
    for (const path of ['/vm/deep/v%20m%3F/metrics', '/vm/deep%2Fv%20m%3f/metrics?name[]=vmm_up']) {
      expect((await agent.series(path)).get('vmm_up{vm="deep/v m?"}')).toBe('1');
    }
  });

  test('when events are listened to, then the data of the fleet comes at once', async () => {
    const agent = await runAgent([regionFile()]);
    const events = await fetch(`${agent.url}/data/events`);
    expect(events.headers.get('content-type')).toBe('text/event-stream');
    const { value } = await events.body!.getReader().read();
    const [event] = /^data: \{.*\}\n\n/.exec(Buffer.from(value!).toString())!; // the next event may come with it
    expect(JSON.parse(event.slice(6))).toMatchObject({ files: { killed: 1 } });
    expect(await agent.stop()).toBe(0);
  });
});

describe('given the header Accept', () => {
  const openmetrics = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
  const text = 'text/plain; version=0.0.4; charset=utf-8';
  const protobuf = 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited';
  const text1 = 'text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8';
  test.each([
    { accept: undefined, expected: text },
    { accept: '', expected: text },
    { accept: '*/*', expected: text },
    { accept: 'text/html,application/xhtml+xml,*/*;q=0.8', expected: text },
    { accept: 'application/openmetrics-text', expected: openmetrics },
    { accept: 'APPLICATION/OPENMETRICS-TEXT; Version="1.0.0"', expected: openmetrics },
    {
      accept:
        'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
      expected: openmetrics,
    },
    { accept: 'application/openmetrics-text;version=0.0.1;q=0.9,text/plain;version=0.0.4;q=0.5', expected: text },
    { accept: 'application/openmetrics-text;version=1.0.0;q=0.1,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4', expected: text1 },
    { accept: 'application/openmetrics-text;q=0, text/plain', expected: text },
    { accept: 'Text/Plain; VERSION=1.0.0', expected: text1 },
    { accept: 'text/plain;q=0, */*, application/openmetrics-text;q=0.1', expected: openmetrics },
    { accept: 'text/plain;version=0.0.4;q=0.2, application/openmetrics-text;q=0.3, */*;q=0.9', expected: openmetrics },
    { accept: 'application/vnd.google.protobuf', expected: text },
    { accept: `${protobuf};q=0, */*`, expected: text },
    { accept: protobuf.replace('delimited', 'text'), expected: text },
    { accept: `application/openmetrics-text, ${protobuf}`, expected: protobuf },
    // Prometheus 2.42 that wants native histograms, and 3.5 with scrape_protocols.
    {
      accept:
        'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
      expected: protobuf,
    },
    {
      accept:
        'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1',
      expected: protobuf,
    },
    { accept: 'application/openmetrics-text;q=x, image/png', expected: text },
  ])('when it is $accept, then the answer is $expected', ({ accept, expected }) => {
    expect(formatFor(accept).contentType).toBe(expected);
  });

  test('when protobuf is asked for, then its messages have every sample of the text', async () => {
    const agent = await runAgent([regionFile()]);
    const headers = { accept: protobuf };
    for (const path of ['/metrics', '/vm/region/metrics', '/metrics?name[]=vmm_up&name[]=vmm_g_hits', '/metrics?detail=vm']) {
      const { body, headers: answered } = await agent.get(path, headers);
      expect(answered['content-type']).toBe(protobuf);
      const found = plainSamplesIn(metricFamiliesIn(body));
      const expected = [...(await agent.series(path))].filter(([key]) => !/agent_scrape/.test(key));
      expect(expected.length).toBeGreaterThan(1);
      for (const [key, value] of expected) expect({ key, value: found.get(key) }).toEqual({ key, value: Number(value) });
      expect([...found.keys()].filter((key) => !/agent_scrape/.test(key)).length).toBe(expected.length);
    }
    expect((await agent.get('/metrics?name[]=nothing', headers)).body.length).toBe(0);
  });

  test('when OpenMetrics is asked for, then the answer ends with EOF, and counters have no suffix in their type', async () => {
    const agent = await runAgent([regionFile()]);
    const { text: body, headers } = await agent.get('/metrics', { accept: 'application/openmetrics-text' });
    expect(headers['content-type']).toBe(openmetrics);
    expect(body.endsWith('\n# EOF\n')).toBe(true);
    expect(body).toContain('# TYPE vmm_g_hits counter\n');
    expect(body).toContain('# TYPE vmm_agent info\n');
    expect(seriesOf(body)).toEqual(
      new Map([...(await agent.series())].map(([key, value]) => [key, /agent_scrape/.test(key) ? seriesOf(body).get(key) : value])),
    );
    expect((await agent.get('/vm/region/metrics', { accept: 'application/openmetrics-text' })).text.match(/# EOF\n/g)!.length).toBe(1);
  });
});

describe('given requests that are wrong', () => {
  test.each([
    { path: '/nothing', status: 404, says: 'there is nothing here; there are /, /metrics, /sd' },
    { path: '/vm//metrics', status: 404, says: 'there is nothing here' },
    { path: '/vm/none/metrics', status: 404, says: "there is no virtual machine 'none'" },
    { path: '/vm/../metrics', status: 404, says: 'there is no virtual machine' },
    { path: '/data/vm/none', status: 404, says: "there is no virtual machine 'none'" },
    { path: '/vm/%ff/metrics', status: 400, says: 'the path is not percent-encoded UTF-8' },
    { path: '/metrics?detail=all', status: 400, says: 'detail must be vm or device' },
    { path: '/metrics', method: 'POST', status: 405, says: 'only GET and HEAD are allowed' },
  ])('when $path is asked for, then the answer is $status with the reason', async ({ path, method = 'GET', status, says }) => {
    const agent = await runAgent([regionFile()]);
    const answer = await agent.get(path, {}, method);
    expect(answer.status).toBe(status);
    expect(answer.text).toContain(says);
    expect(answer.text.endsWith('\n')).toBe(true);
  });

  test('when HEAD is asked for, then there is no body, and its length', async () => {
    const agent = await runAgent([regionFile()]);
    const { status, headers, body } = await agent.get('/vm/region/metrics', {}, 'HEAD');
    expect([status, body.length]).toEqual([200, 0]);
    expect(Number(headers['content-length'])).toBe((await agent.get('/vm/region/metrics')).body.length);
  });

  test('when random bytes come, then each connection gets an answer or ends, and the agent goes on', async () => {
    const agent = await runAgent([regionFile()]);
    const starts = [
      '',
      'GET ',
      'GET /metrics HTTP/1.1\r\n',
      'GET /vm/',
      'POST /metrics HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n',
      '\x16\x03\x01',
    ];
    for (let i = 0; i < 60; i++) {
      const answer = await sent(
        agent,
        Buffer.concat([Buffer.from(starts[randomInt(starts.length)]!, 'latin1'), randomBytes(randomInt(2000)), Buffer.from('\r\n\r\n')]),
      );
      if (answer !== '') expect(answer).toMatch(/^HTTP\/1\.1 (200|4\d\d) /);
    }
    expect(await sent(agent, `GET /${'a'.repeat(40_000)} HTTP/1.1\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
    expect((await agent.series()).get('vmm_agent_files{state="killed"}')).toBe('1');
    expect(agent.report()).not.toContain('a request failed');
  });
});

describe('given who may ask', () => {
  test('when a page of another site asks through its own domain name, then the agent refuses', async () => {
    const agent = await runAgent([regionFile()]);
    for (const host of ['evil.example', 'evil.example:9910', 'a.b.']) {
      expect((await agent.get('/metrics', { host })).status, host).toBe(403);
    }
    for (const host of ['localhost:1', 'localhost', '127.0.0.1', '[::1]:7', 'x', 'vm.localhost', '']) {
      expect((await agent.get('/metrics', { host })).status, host).toBe(200);
    }
  });

  test('when there is a token, then only requests with the token are answered', async () => {
    const tokenFile = join(temporaryFolder(), 'token');
    writeFileSync(tokenFile, 'sEcret-1\n');
    const agent = await runAgent([regionFile()], ['--listen', '0.0.0.0:0', '--token-file', tokenFile]);
    const local = { ...agent, url: agent.url.replace('0.0.0.0', '127.0.0.1') };
    for (const path of ['/metrics', '/sd', '/nothing', '/data/fleet', '/data/events', '/vm/region/metrics']) {
      for (const authorization of [
        undefined,
        '',
        'Bearer',
        'Bearer ',
        'Bearer secret-1',
        'Bearer sEcret-12',
        'Basic sEcret-1',
        'sEcret-1',
      ]) {
        const answer = await local.get(path, authorization === undefined ? {} : { authorization });
        expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'Bearer']);
        expect(answer.text).toBe("a request needs the header 'Authorization: Bearer TOKEN'\n");
      }
    }
    for (const authorization of ['Bearer sEcret-1', 'bearer  sEcret-1']) {
      expect((await local.get('/metrics', { authorization, host: 'any.example' })).status).toBe(200);
    }
  });

  test.skipIf(elsewhere === undefined)('when a client is not on loopback, then its answer is compressed if it wants that', async () => {
    const tokenFile = join(temporaryFolder(), 'token');
    writeFileSync(tokenFile, 't');
    const agent = await runAgent([regionFile()], ['--listen', ':0', '--token-file', tokenFile]);
    const wants = { authorization: 'Bearer t', 'accept-encoding': 'br, gzip;q=0.5' };
    const remote = new URL(agent.url);
    const far = await agent.get(`/vm/region/metrics`, wants);
    expect(far.headers['content-encoding']).toBeUndefined(); // the agent was reached through ::
    const { port } = remote;
    for (const path of ['/metrics', '/vm/region/metrics', '/sd']) {
      const plain = await fetchFrom(elsewhere!, port, path, { authorization: 'Bearer t' });
      const packed = await fetchFrom(elsewhere!, port, path, wants);
      expect(packed.encoding).toBe('gzip');
      expect(plain.encoding).toBeUndefined();
      expect(packed.body.length).toBeLessThan(plain.body.length);
      const stable = (body: Buffer) => body.toString().replaceAll(/^vmm_agent_scrape.*$/gm, '');
      expect(stable(gunzipSync(packed.body))).toBe(stable(plain.body));
    }
    expect((await fetchFrom(elsewhere!, port, '/sd', { ...wants, 'accept-encoding': 'gzip;q=0' })).encoding).toBeUndefined();
  });

  test('when it listens on a Unix socket, then user and group may connect, and a socket of a dead agent is replaced', async () => {
    const path = join(temporaryFolder(), 'agent.sock');
    const first = await runAgent([regionFile()], ['--listen', `unix:${path}`]);
    expect(first.url).toBe(`unix:${path}`);
    expect(statSync(path).mode & 0o777).toBe(0o660);
    expect((await first.series()).get('vmm_agent_files{state="killed"}')).toBe('1');
    const { stderr, code } = await cli('serve', regionFile(), '--listen', `unix:${path}`);
    expect([code, stderr]).toEqual([1, expect.stringContaining('EADDRINUSE')]);
    process.kill(first.pid, 'SIGKILL');
    while (existsSync(`/proc/${first.pid}`) && !readFileSync(`/proc/${first.pid}/stat`, 'latin1').includes(') Z '))
      await new Promise(setImmediate);
    const second = await runAgent([regionFile()], ['--listen', `unix:${path}`]);
    expect((await second.series()).get('vmm_agent_files{state="killed"}')).toBe('1');
    expect(await second.stop()).toBe(0);
    expect(existsSync(path)).toBe(false);
  });
});

function fetchFrom(host: string, port: string, path: string, headers: Readonly<Record<string, string>>) {
  return new Promise<{ encoding: string | undefined; body: Buffer }>((resolve, reject) => {
    const socket = connect(Number(port), host);
    const parts: Buffer[] = [];
    const lines = Object.entries({ host, connection: 'close', ...headers }).map(([key, value]) => `${key}: ${value}\r\n`);
    socket.on('data', (part: Buffer) => parts.push(part)).on('error', reject);
    socket.on('close', () => {
      const all = Buffer.concat(parts);
      const end = all.indexOf('\r\n\r\n');
      const [, encoding] = /^content-encoding: (\S+)/im.exec(all.subarray(0, end).toString('latin1')) ?? [];
      resolve({ encoding, body: all.subarray(end + 4) });
    });
    socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
  });
}

describe('given wrong arguments', () => {
  const missing = join('/nonexistent', 'token');
  test.each([
    { args: [], code: 2, says: 'PATTERN is missing' },
    { args: ['x', '--listen', '127.0.0.1'], code: 2, says: "'127.0.0.1' is no address; use HOST:PORT" },
    { args: ['x', '--listen', '127.0.0.1:70000'], code: 2, says: 'is no address' },
    { args: ['x', '--listen', 'unix:'], code: 2, says: 'must have 1 to 107 bytes' },
    { args: ['x', '--keep', '15'], code: 2, says: "--keep must be a number and a unit (ms, s, m, h or d), such as 15m; got '15'" },
    { args: ['x', '--name-from', 'pid'], code: 2, says: "--name-from must be 'path', 'id' or 'name'; got 'pid'" },
    { args: ['x', '--detail', 'all'], code: 2, says: "--detail must be 'vm' or 'device'" },
    { args: ['x', '--max-series', '0'], code: 2, says: '--max-series must be an integer from 1' },
    { args: ['x', '--listen', '0.0.0.0:0'], code: 1, says: 'other machines can reach this address, so it needs --token-file FILE' },
    { args: ['x', '--listen', ':0'], code: 1, says: 'needs --token-file' },
    { args: ['x', '--token-file', missing], code: 1, says: `the token file '${missing}' cannot be read: ENOENT` },
    { args: ['x', '--token-file', '/dev/null'], code: 1, says: "the token file '/dev/null' must contain one token" },
  ])('when they are $args, then one line says why, and the exit code is $code', async ({ args, code, says }) => {
    const end = await cli('serve', ...args);
    expect(end).toMatchObject({ code, stdout: '' });
    expect(end.stderr).toMatch(oneLine);
    expect(end.stderr).toContain(says);
  });

  test('when a port is taken, then one line says so', async () => {
    const agent = await runAgent([regionFile()]);
    const end = await cli('serve', 'x', '--listen', new URL(agent.url).host);
    expect([end.code, end.stderr]).toEqual([1, expect.stringMatching(oneLine)]);
    expect(end.stderr).toContain('EADDRINUSE');
  });

  test('when there is no file yet, then the agent waits for it', async () => {
    const folder = vmFolder();
    const agent = await runAgent([join(folder, '*/metrics.region'), join(folder, 'later.region')]);
    expect(agent.report()).toContain('region files: 0');
    expect((await agent.series()).get('vmm_agent_files{state="unreadable"}')).toBe('0');
    rmSync(folder, { recursive: true });
    expect((await agent.get('/metrics')).status).toBe(200);
    mkdirSync(folder);
    writeFileSync(join(folder, 'later.region'), readFileSync(regionFile()));
    chmodSync(join(folder, 'later.region'), 0o600);
    while ((await agent.get('/vm/later/metrics')).status === 404) await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await agent.series('/vm/later/metrics')).get('vmm_up{vm="later"}')).toBe('0');
  });
});

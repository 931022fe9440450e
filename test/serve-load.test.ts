// Many clients of the agent, and slow ones: who gets an answer, and how much memory the answers take.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { group, inc, perDevice } from 'vmm-metrics';

import { type Answer, bytesOf, streamedAnswer, wholeAnswer } from '../lib/serve/answer.ts';
import { ChunkMemory } from '../lib/serve/chunk-memory.ts';
import { type Lease, Renderings, SHARED_MS } from '../lib/serve/renderings.ts';
import { sendBody } from '../lib/serve/reply.ts';
import { type RunningAgent, runAgent } from './helpers/agent.ts';
import { Model, NOTHING } from './helpers/model.ts';
import { regionBytes } from './helpers/region-writer.ts';
import { temporaryFolder } from './helpers/workplace.ts';

const never = () => {
  throw new Error('this client must not be cut off');
};
const answer = (bytes: number) => () => wholeAnswer([new Uint8Array(bytes)]);
const chunksOf = (lease: Lease) => [...lease.read().chunks];
const CHUNKS = ['one', 'two', 'three'];

/** Answers that keep 10 bytes, and whose chunks are made when they are read. */
function streams() {
  const memory = new ChunkMemory();
  const memories = new Set<ArrayBufferLike>();
  const made = { answers: 0, chunks: 0, memories: 0 };
  const released: number[] = [];
  const make = (): Answer => {
    const number = ++made.answers;
    function* chunks() {
      for (const text of CHUNKS) {
        if (released.includes(number)) return;
        const chunk = memory.take(10);
        made.chunks++;
        made.memories = memories.add(chunk.buffer).size;
        chunk.set(Buffer.from(text));
        yield chunk.subarray(0, text.length);
      }
    }
    return streamedAnswer({ bytes: 10, chunks, release: () => released.push(number) }, memory);
  };
  return { made, released, make };
}

const untilOld = () => new Promise((resolve) => setTimeout(resolve, SHARED_MS + 5));

describe('given answers that clients share', () => {
  test('when clients ask for the same thing at once, then it is made once; later, and for another thing, it is made again', async () => {
    const renderings = new Renderings();
    let made = 0;
    const make = () => {
      made++;
      return wholeAnswer([Uint8Array.of(made)]);
    };
    const first = await Promise.all(Array.from({ length: 5 }, () => renderings.lease('a', make, never)));
    expect(first.map((lease) => chunksOf(lease)[0]![0])).toEqual([1, 1, 1, 1, 1]);
    expect(chunksOf(await renderings.lease('b', make, never))[0]![0]).toBe(2);
    await untilOld();
    expect(chunksOf(await renderings.lease('a', make, never))[0]![0]).toBe(3);
  });

  test('when an answer is larger than all the room, then its client gets it', async () => {
    const renderings = new Renderings({ bytesMax: 10 });
    expect(bytesOf(chunksOf(await renderings.lease('a', answer(100), never)))).toBe(100);
  });

  test('when clients keep answers and room is needed, then the clients with the oldest answer are cut off', async () => {
    const renderings = new Renderings({ bytesMax: 25, patienceMs: 20, crowdedMs: 0 });
    const cuts: string[] = [];
    for (const name of ['first', 'second']) {
      await renderings.lease('a', answer(10), () => cuts.push(name));
      await renderings.lease('a', answer(10), () => cuts.push(`${name} too`));
      await untilOld();
    }
    expect(cuts).toEqual([]);
    await renderings.lease('a', answer(10), () => cuts.push('third'));
    expect(cuts).toEqual(['first', 'first too']);
  });

  test('when there is no room for a new answer, then a recent one is shared, and nobody is cut off', async () => {
    const renderings = new Renderings({ bytesMax: 15, patienceMs: 20 });
    const first = await renderings.lease('a', answer(10), never);
    await untilOld();
    const second = await renderings.lease('a', answer(10), never);
    expect(chunksOf(second)[0]).toBe(chunksOf(first)[0]);
    expect(second.ageMs).toBeGreaterThan(first.ageMs);
    expect(second.ageMs).toBeGreaterThanOrEqual(SHARED_MS);
  });

  test('when a client returns its answer, then another one gets the room, and nobody is cut off', async () => {
    const renderings = new Renderings({ bytesMax: 15, patienceMs: 60_000, crowdedMs: 0 });
    const lease = await renderings.lease('a', answer(10), never);
    await untilOld();
    const waiting = Array.from({ length: 50 }, () => renderings.lease('a', answer(10), never));
    // Every waiting client looks for room again and again, and must not keep the others from running.
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 1));
    lease.release();
    lease.release();
    for (const one of await Promise.all(waiting)) expect(bytesOf(chunksOf(one))).toBe(10);
  });

  test('when an answer is older than a second, then its header says how old it is', async () => {
    const server = createServer((request, response) => {
      void sendBody(request, response, 'text/plain', { ...wholeAnswer([Buffer.from('a')]), ageMs: Number(request.url!.slice(1)) });
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const ages = ['2900', '900'].map(async (ageMs) => (await fetch(`http://127.0.0.1:${port}/${ageMs}`)).headers.get('age'));
    expect(await Promise.all(ages)).toEqual(['2', null]);
  });

  test('when clients read one after the other, then each has bytes of its own, in the same memory; at once, the bytes are made once', async () => {
    const { made, released, make } = streams();
    const renderings = new Renderings();
    const first = await renderings.lease('a', make, never);
    const texts = (lease: Lease) => {
      const { chunks, giveBack } = lease.read();
      return Array.from(chunks, (chunk) => {
        const text = Buffer.from(chunk).toString();
        giveBack(chunk);
        return text;
      });
    };
    expect(texts(first)).toEqual(CHUNKS);
    first.release();
    const second = await renderings.lease('a', make, never);
    expect(texts(second)).toEqual(CHUNKS);
    expect(made).toEqual({ answers: 1, chunks: 6, memories: 1 });
    // Two that read while the second one has not returned its answer.
    const [third, fourth] = [await renderings.lease('a', make, () => never()), await renderings.lease('a', make, () => never())];
    const slow = third!.read().chunks[Symbol.iterator]();
    expect(Buffer.from(slow.next().value!).toString()).toBe('one');
    expect(texts(fourth!)).toEqual(CHUNKS);
    expect(Array.from({ length: 2 }, () => Buffer.from(slow.next().value!).toString())).toEqual(['two', 'three']);
    expect(slow.next().done).toBe(true);
    expect(made).toEqual({ answers: 1, chunks: 9, memories: 3 });
    await untilOld();
    for (const lease of [second, third!, fourth!]) {
      expect(released).toEqual([]);
      lease.release();
    }
    expect(released).toEqual([1]);
  });

  test('when there is no room for bytes that clients share, then they are made for each client', async () => {
    const { made, make } = streams();
    const renderings = new Renderings({ bytesMax: 15 });
    const leases: Lease[] = [];
    for (let i = 0; i < 3; i++) leases.push(await renderings.lease('a', make, () => never()));
    const [first, ...others] = leases.map((lease) => lease.read().chunks[Symbol.iterator]());
    // Nobody has read all of it when the second client comes, so its length is found out first.
    first!.next();
    for (const chunks of others) while (!chunks.next().done);
    expect(made.chunks).toBe(1 + 3 + 3 + 3);
  });

  test('when an answer that is read has to go, then its readings end, and it is released', async () => {
    const { released, make } = streams();
    const renderings = new Renderings({ bytesMax: 15, patienceMs: 20, crowdedMs: 0 });
    let cuts = 0;
    const first = await renderings.lease('a', make, () => cuts++);
    const chunks = first.read().chunks[Symbol.iterator]();
    chunks.next();
    await untilOld();
    (await renderings.lease('b', answer(100), never)).release();
    expect(cuts).toBe(0);
    await untilOld();
    await renderings.lease('b', answer(100), never);
    expect(cuts).toBe(1);
    expect(released).toEqual([1]);
    expect(chunks.next().done).toBe(true);
  });

  test('when the bytes that clients share cannot be made, then no client takes their beginning for all of them', async () => {
    const renderings = new Renderings();
    function* chunks() {
      yield Buffer.from('one');
      throw new Error('no memory');
    }
    const make = () => streamedAnswer({ bytes: 10, chunks, release: () => {} }, new ChunkMemory());
    // An answer before tells how long this one will be.
    const earlier = await renderings.lease('a', answer(3), never);
    chunksOf(earlier);
    earlier.release();
    await untilOld();
    const leases: Lease[] = [];
    for (let i = 0; i < 3; i++) leases.push(await renderings.lease('a', make, never));
    for (const lease of leases) expect(() => chunksOf(lease)).toThrow('no memory');
  });

  test('when a compressed answer is asked for twice, then it is compressed once', async () => {
    const lease = await new Renderings().lease('a', answer(1000), never);
    expect(lease.gzipped()).toBe(lease.gzipped());
    expect((await lease.gzipped()).length).toBeGreaterThan(0);
  });
});

const VMS = 100;
const METRICS = 200;
const DEVICES = 10;

/**
 * A folder of virtual machines. Their metrics are 14 MB of text, more than the kernel holds for a client that does not
 * read; without the devices, they are 3 MB.
 */
function folderOfVms(): string {
  const folder = temporaryFolder();
  const counters = Object.fromEntries(Array.from({ length: METRICS }, (_, i) => [`a_counter_with_a_long_name_${i}`, inc('A counter')]));
  const model = new Model({ g: group(counters), disk: perDevice(counters) }, {});
  for (let i = 0; i < DEVICES; i++) model.alloc('disk', `disk${i}`);
  const region = regionBytes(model, NOTHING);
  for (let i = 0; i < VMS; i++) writeFileSync(join(folder, `vm${i}.region`), region);
  return folder;
}

function asking(agent: RunningAgent, path: string, headers = ''): Socket {
  const socket = connect(Number(new URL(agent.url).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${headers}\r\n`);
  return socket;
}

/** How many bytes come, and whether the end of the body is among them. The body has no length in its header. */
async function answerFrom(socket: Socket): Promise<{ readonly came: number; readonly isWhole: boolean }> {
  let came = 0;
  let end = '';
  socket.on('data', (part: Buffer) => {
    came += part.length;
    end = (end + part.toString('latin1')).slice(-7);
  });
  if (!socket.closed) await once(socket, 'close');
  return { came, isWhole: end === '\r\n0\r\n\r\n' };
}

const mebibytesOf = (pid: number) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) / 1024;

describe('given an agent with many clients', () => {
  test('when 200 ask at once, and 20 do not read, then all 200 have whole answers, in bounded memory', async () => {
    const agent = await runAgent([folderOfVms()]);
    const slow: Socket[] = [];
    for (let i = 0; i < 20; i++) {
      const socket = asking(agent, '/metrics');
      await once(socket, 'readable'); // the answer has begun
      slow.push(socket);
    }
    const answers = await Promise.all(Array.from({ length: 200 }, () => answerFrom(asking(agent, '/metrics?detail=vm'))));
    for (const { came, isWhole } of answers) {
      expect(came).toBeGreaterThan(1e6);
      expect(isWhole).toBe(true);
    }
    const series = [...(await agent.series('/metrics?detail=vm')).keys()];
    expect(series.filter((key) => /^vmm_(?:g|disk_all)_/.test(key)).length).toBe(2 * VMS * METRICS);
    expect(mebibytesOf(agent.pid)).toBeLessThan(256);
    expect((await agent.get('/vm/vm0/metrics')).status).toBe(200);
  });

  test('when clients read a long answer alone, at once, and after one has left, then each has the same lines', async () => {
    const agent = await runAgent([folderOfVms()]);
    const lines = async () => {
      const { text } = await agent.get('/metrics');
      return createHash('sha256')
        .update(
          text
            .split('\n')
            .filter((line) => !line.includes('vmm_agent_'))
            .join('\n'),
        )
        .digest('hex');
    };
    const { text } = await agent.get('/metrics');
    expect(text.match(/^vmm_(?:g|disk)_a_counter\S+\{.*\} 0$/gm)!.length).toBe(VMS * METRICS * (1 + DEVICES));
    const alone = await lines();
    const leaving = asking(agent, '/metrics');
    await once(leaving, 'readable');
    const together = Array.from({ length: 6 }, lines);
    leaving.destroy();
    expect(await Promise.all(together)).toEqual(Array.from(together, () => alone));
  });

  test('when a client is slower than the time that it waits, then it is cut off and counted', async () => {
    const agent = await runAgent([folderOfVms()]);
    const socket = asking(agent, '/metrics', 'X-Prometheus-Scrape-Timeout-Seconds: 0.5\r\n');
    socket.pause();
    const isCut = async () =>
      (await agent.series('/metrics?name[]=vmm_agent_scrapes_cut_total')).get('vmm_agent_scrapes_cut_total') === '1';
    while (!(await isCut())) await untilOld();
    expect((await answerFrom(socket.resume())).isWhole).toBe(false);
  });

  test('when a client speaks HTTP/1.0, then the header has the length of the body, so that the client can tell if it is cut off', async () => {
    const agent = await runAgent([folderOfVms()]);
    const socket = connect(Number(new URL(agent.url).port), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.write('GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n');
    const parts: Buffer[] = [];
    for await (const part of socket) parts.push(part as Buffer);
    const answer = Buffer.concat(parts);
    const headEnd = answer.indexOf('\r\n\r\n');
    const [, length] = /\r\nContent-Length: (\d+)/.exec(answer.toString('latin1', 0, headEnd)) ?? [];
    expect(Number(length)).toBe(answer.length - headEnd - 4);
    expect(Number(length)).toBeGreaterThan(10e6);
  });

  test('when clients leave in the middle, then the agent goes on, and counts none of them', async () => {
    const agent = await runAgent([folderOfVms()]);
    for (let i = 0; i < 30; i++) {
      const socket = asking(agent, '/metrics');
      if (i % 3 > 0) await once(socket, 'readable');
      socket.destroy();
    }
    await untilOld();
    await agent.series(); // the agent has noticed that the clients are gone
    await untilOld();
    const series = await agent.series();
    expect(series.get('vmm_agent_scrapes_cut_total')).toBe('0');
    expect(agent.report()).not.toContain('failed');
  });
});

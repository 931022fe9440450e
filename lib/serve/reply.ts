// How answers go out: whole, at the speed of their client, and compressed for clients on other machines.

import type { IncomingMessage, ServerResponse } from 'node:http';

import { type Reading, wholeAnswer } from './answer.ts';
import { isLoopback } from './listening.ts';
import { gzipped } from './renderings.ts';

/** How long a client may take to read its answer, unless the client says how long it waits. */
const DEADLINE_MS = 120_000;

/** An answer of this length is written at once. */
const SMALL_BYTES = 1 << 18;

/** Sends a short text. */
export function sendText(response: ServerResponse, status: number, text: string, headers: Readonly<Record<string, string>> = {}): void {
  const body = Buffer.from(`${text}\n`);
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': body.length, ...headers });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

/** Sends a document of JSON. */
export function sendJson(request: IncomingMessage, response: ServerResponse, text: string): Promise<boolean> {
  return sendBody(request, response, 'application/json; charset=utf-8', wholeAnswer([Buffer.from(text)]));
}

export interface Body {
  /** Begins to read it. */
  read(): Reading;
  /** How long ago the body was made, if it is shared. */
  readonly ageMs?: number;
  /** The compressed chunks, where several answers share the work. */
  readonly gzipped?: () => Promise<readonly Uint8Array[]>;
}

/**
 * Sends a body. No more than one chunk waits in memory for the client to read it.
 * @returns Whether the client took all of it, or left by itself. False if it took too long.
 */
export async function sendBody(request: IncomingMessage, response: ServerResponse, contentType: string, body: Body): Promise<boolean> {
  const isCompressed = wantsGzip(request);
  const answer = isCompressed ? wholeAnswer(await (body.gzipped?.() ?? gzipped(body.read()))) : body;
  const reading = answer.read();
  if (response.destroyed) return true;
  const headers = {
    'Content-Type': contentType,
    'Cache-Control': 'no-store',
    // A client can see that it got an answer that others are still reading, and not a new one.
    ...((body.ageMs ?? 0) >= 1000 && { Age: Math.floor(body.ageMs! / 1000) }),
    Vary: 'Accept, Accept-Encoding',
    ...(isCompressed && { 'Content-Encoding': 'gzip' }),
  };
  if (request.method === 'HEAD') {
    response.writeHead(200, { ...headers, 'Content-Length': lengthOf(reading) }).end();
    return true;
  }
  const { first, length, rest } = beginningOf(reading);
  const isAll = rest === undefined;
  // The length of a long body is known only at its end. HTTP/1.1 marks that end. HTTP/1.0 does not, so its client could
  // not tell a body that was cut off from a whole one: there, the body is made a first time for its length.
  const known = isAll ? length : request.httpVersion === '1.0' ? lengthOf(answer.read()) : undefined;
  response.writeHead(200, { ...headers, ...(known !== undefined && { 'Content-Length': known }) });
  const write = (chunk: Uint8Array) => response.write(chunk, () => reading.giveBack(chunk));
  if (isAll) {
    response.cork(); // all of it in one call, with the headers
    for (const chunk of first) write(chunk);
    response.end();
    return awaited(response, deadlineOf(request), () => closed(response));
  }
  return awaited(response, deadlineOf(request), async () => {
    for (const chunk of concatenated(first, rest)) {
      if (response.destroyed) return;
      if (!write(chunk)) await drained(response);
    }
    if (response.destroyed) return;
    response.end();
    await closed(response);
  });
}

function lengthOf({ chunks, giveBack }: Reading): number {
  let length = 0;
  for (const chunk of chunks) {
    length += chunk.length;
    giveBack(chunk);
  }
  return length;
}

/** The first chunks, as many as are written at once, and the others, if there are any. */
function beginningOf({ chunks }: Reading) {
  const iterator = chunks[Symbol.iterator]();
  const first: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = iterator.next();
    if (done) return { first, length, rest: undefined };
    first.push(value);
    length += value.length;
    if (length > SMALL_BYTES) return { first, length, rest: iterator };
  }
}

function* concatenated(first: readonly Uint8Array[], rest: Iterator<Uint8Array>): Generator<Uint8Array> {
  yield* first;
  for (let next = rest.next(); !next.done; next = rest.next()) yield next.value;
}

/** Waits for work that a slow client may hold up. Returns false if it took too long; then the connection is closed. */
async function awaited(response: ServerResponse, deadlineMs: number, work: () => Promise<void>): Promise<boolean> {
  let isLate = false;
  const deadline = setTimeout(() => {
    isLate = true;
    response.destroy();
  }, deadlineMs);
  try {
    await work();
  } finally {
    clearTimeout(deadline);
  }
  return !isLate;
}

/** Prometheus says how long it waits; after that, nobody reads the answer. */
function deadlineOf({ headers }: IncomingMessage): number {
  const seconds = Number(headers['x-prometheus-scrape-timeout-seconds'] ?? Number.NaN);
  return seconds > 0 && seconds <= 3600 ? Math.ceil(seconds * 1000) : DEADLINE_MS;
}

/** Resolves when the response takes more, or when its client has left. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}

/** Resolves when the client has the whole answer, or has left. */
function closed(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (response.writableFinished || response.destroyed) resolve();
    else response.once('finish', resolve).once('close', resolve);
  });
}

/** On this machine, compressing takes longer than sending. */
function wantsGzip({ headers, socket }: IncomingMessage): boolean {
  const isRemote = socket.remoteAddress !== undefined && !isLoopback(socket.remoteAddress);
  const gzip = `${headers['accept-encoding'] ?? ''}`
    .toLowerCase()
    .split(',')
    .find((coding) => coding.trim().split(';')[0]!.trim() === 'gzip');
  return isRemote && gzip !== undefined && !/;\s*q=0(\.0*)?\s*$/.test(gzip);
}

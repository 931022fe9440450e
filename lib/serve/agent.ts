// The agent of a host: serves the metrics of all region files that its patterns stand for.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import { fleetData } from './data.ts';
import { Events } from './events.ts';
import { Fleet, type FleetOptions } from './fleet.ts';
import { type Address, isLocal, listen } from './listening.ts';
import { OtlpExporter } from './otlp-exporter.ts';
import { Renderings, SHARED_MS } from './renderings.ts';
import { answer, type Site } from './routes.ts';
import { type Detail, Scrapes } from './scrapes.ts';
import { Token } from './token.ts';

// Fleet and OtlpRequests are for the benchmarks.
export { Fleet, NAME_SOURCES } from './fleet.ts';
export { addressFrom, DEFAULT_LISTEN } from './listening.ts';
export { otlpUrl } from './otlp-exporter.ts';
export { OtlpRequests } from './otlp-request.ts';
export { DETAILS } from './scrapes.ts';

export interface AgentOptions extends Omit<FleetOptions, 'now'> {
  readonly listen: Address;
  readonly tokenFile: string | undefined;
  readonly detail: Detail;
  /** Where metrics are sent to, and how often. */
  readonly otlp: { readonly url: URL; readonly intervalMs: number } | undefined;
}

export interface Agent {
  /** Where a client reaches it, for people. */
  readonly url: string;
  /** How many region files there were at the start. */
  readonly files: number;
  /** Ends all connections, and closes all files. */
  close(): Promise<void>;
}

/** How often the files are looked for without a request, so that a death is noticed and names are up to date. */
const BACKGROUND_MS = 5000;
const CONNECTIONS_MAX = 4096;
const HEADERS_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 75_000;

/** @throws Error if the address is for other machines and there is no token; if it cannot listen. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const token = options.tokenFile === undefined ? undefined : Token.fromFile(options.tokenFile);
  if (token === undefined && !isLocal(options.listen)) {
    throw new Error('other machines can reach this address, so it needs --token-file FILE');
  }
  const now = () => Date.now();
  const fleet = new Fleet({ ...options, now });
  fleet.refresh();
  const events = new Events({
    known: () => fleetData(fleet, now(), { withEvents: false }),
    newest: () => {
      fleet.refreshIfOlder(SHARED_MS);
      return fleetData(fleet, now());
    },
  });
  const exporter = options.otlp && new OtlpExporter(fleet, { ...options.otlp, report: options.report, now });
  const scrapes = new Scrapes(fleet, exporter);
  const renderings = new Renderings();
  const site: Site = { fleet, scrapes, renderings, events, token, detail: options.detail, now };
  const server = serverOf(site, options.report);
  const timer = setInterval(() => fleet.refreshIfOlder(BACKGROUND_MS - SHARED_MS), BACKGROUND_MS);
  const end = () => {
    clearInterval(timer);
    exporter?.close();
    events.close();
    fleet.close();
  };
  try {
    const url = await listen(server, options.listen);
    exporter?.run().catch((error: Error) => {
      options.report(`the OpenTelemetry exporter ended: ${error.stack ?? error.message}`);
    });
    const files = Object.values(fleet.counts).reduce((sum, count) => sum + count, 0);
    return { url, files, close: () => closed(server).then(end) };
  } catch (error) {
    end();
    throw error;
  }
}

function serverOf(site: Site, report: (text: string) => void): Server {
  const server = createServer({ headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: HEADERS_TIMEOUT_MS, keepAliveTimeout: KEEP_ALIVE_MS });
  server.maxConnections = CONNECTIONS_MAX;
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    answer(site, request, response).catch((error: Error) => {
      report(`a request failed: ${error.stack ?? error.message}`);
      response.destroy();
    });
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
    else socket.end(`HTTP/1.1 ${statusOf(error)}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  });
  return server;
}

function statusOf({ code }: NodeJS.ErrnoException): string {
  if (code === 'HPE_HEADER_OVERFLOW') return '431 Request Header Fields Too Large';
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? '408 Request Timeout' : '400 Bad Request';
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

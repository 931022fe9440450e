// The requests that the agent answers.

import type { IncomingMessage, ServerResponse } from 'node:http';

import { formatFor } from './accept.ts';
import { wholeAnswer } from './answer.ts';
import { fleetData, vmData } from './data.ts';
import { targetsOf } from './discovery.ts';
import type { Events } from './events.ts';
import type { Fleet } from './fleet.ts';
import { PAGE_FILES, PAGE_POLICY } from './page-files.ts';
import { type Renderings, SHARED_MS } from './renderings.ts';
import { sendBody, sendJson, sendText } from './reply.ts';
import { DETAILS, type Detail, type ScrapeQuery, type Scrapes } from './scrapes.ts';
import type { Token } from './token.ts';

export interface Site {
  readonly fleet: Fleet;
  readonly scrapes: Scrapes;
  readonly renderings: Renderings;
  readonly events: Events;
  readonly token: Token | undefined;
  /** How much /metrics shows unless a request says so. */
  readonly detail: Detail;
  readonly now: () => number;
}

interface Asked {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  /** What the brackets of the route's path matched, decoded. */
  readonly name: string;
}

interface Route {
  readonly path: RegExp;
  readonly answer: (site: Site, asked: Asked) => unknown;
}

const ROUTES: readonly Route[] = [
  { path: /^\/metrics$/, answer: answerFleet },
  { path: /^\/vm\/(.+)\/metrics$/, answer: answerVm },
  { path: /^\/sd$/, answer: answerTargets },
  { path: /^\/data\/fleet$/, answer: answerFleetData },
  { path: /^\/data\/vm\/(.+)$/, answer: answerVmData },
  { path: /^\/data\/events$/, answer: answerEvents },
];
const PATHS = '/, /metrics, /sd, /vm/NAME/metrics, /data/fleet, /data/vm/NAME and /data/events';
/** How old the reading of the fleet may be when a name is not known. */
const UNKNOWN_MS = 1000;

/** Answers a request. */
export async function answer(site: Site, request: IncomingMessage, response: ServerResponse): Promise<void> {
  request.resume(); // a body means nothing here
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Content-Security-Policy', PAGE_POLICY);
  const file = PAGE_FILES.get(splitOnce(request.url ?? '', '?')[0]!);
  if (file !== undefined && (request.method === 'GET' || request.method === 'HEAD')) {
    await sendBody(request, response, file.contentType, wholeAnswer([file.bytes()]));
    return;
  }
  if (site.token === undefined ? isForeign(request.headers.host) : !site.token.isIn(request.headers.authorization)) {
    refuse(site, response);
    return;
  }
  const [path = '', search = ''] = splitOnce(request.url ?? '', '?');
  const route = ROUTES.find((one) => one.path.test(path));
  if (route === undefined) {
    sendText(response, 404, `there is nothing here; there are ${PATHS}`);
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    sendText(response, 405, 'only GET and HEAD are allowed', { Allow: 'GET, HEAD' });
    return;
  }
  const name = decoded(route.path.exec(path)![1] ?? '');
  if (name === undefined) sendText(response, 400, 'the path is not percent-encoded UTF-8');
  else await route.answer(site, { request, response, name, query: new URLSearchParams(search) });
}

function refuse({ token }: Site, response: ServerResponse): void {
  if (token === undefined) sendText(response, 403, 'without --token-file, requests must name this machine in the header Host');
  else sendText(response, 401, "a request needs the header 'Authorization: Bearer TOKEN'", { 'WWW-Authenticate': 'Bearer' });
}

async function answerFleet(site: Site, { request, response, query }: Asked): Promise<void> {
  const scrape = scrapeOf(site, request, response, query);
  if (scrape === undefined) return;
  const { contentType, ...asked } = scrape;
  const key = JSON.stringify([asked.format, asked.detail, [...asked.names].sort()]);
  const cut = () => {
    site.scrapes.cut++;
    response.destroy();
  };
  const make = () => {
    const beganMs = performance.now();
    site.fleet.refresh();
    return site.scrapes.ofFleet(asked, beganMs);
  };
  const lease = await site.renderings.lease(key, make, cut);
  try {
    site.scrapes.answered++;
    const { ageMs } = lease;
    if (!(await sendBody(request, response, contentType, { read: () => lease.read(), ageMs, gzipped: () => lease.gzipped() }))) {
      site.scrapes.cut++;
    }
  } finally {
    lease.release();
  }
}

async function answerVm(site: Site, { request, response, query, name }: Asked): Promise<void> {
  const scrape = scrapeOf(site, request, response, query);
  if (scrape === undefined) return;
  const vm = vmOf(site, name);
  if (vm === undefined) {
    sendText(response, 404, `there is no virtual machine '${name}'`);
    return;
  }
  site.scrapes.answered++;
  const chunks = site.scrapes.ofVm(scrape, vm);
  if (!(await sendBody(request, response, scrape.contentType, wholeAnswer(chunks)))) site.scrapes.cut++;
  site.scrapes.giveBack(chunks);
}

function answerTargets({ fleet }: Site, { request, response }: Asked): Promise<boolean> {
  fleet.refreshIfOlder(SHARED_MS);
  return sendJson(request, response, JSON.stringify(targetsOf(fleet.shown, hostOf(request))));
}

function answerFleetData({ fleet, now }: Site, { request, response }: Asked): Promise<boolean> {
  fleet.refreshIfOlder(SHARED_MS);
  return sendJson(request, response, fleetData(fleet, now()));
}

async function answerVmData(site: Site, { request, response, name }: Asked): Promise<void> {
  const vm = vmOf(site, name);
  if (vm === undefined) sendText(response, 404, `there is no virtual machine '${name}'`);
  else await sendJson(request, response, vmData(vm, site.now()));
}

function answerEvents({ events }: Site, { request, response }: Asked): void {
  if (request.method === 'HEAD') sendText(response, 405, 'only GET is allowed', { Allow: 'GET' });
  else if (!events.add(response)) sendText(response, 503, 'too many clients listen to events');
}

/** A name that is not known may be that of a new virtual machine. */
function vmOf({ fleet }: Site, name: string) {
  const vm = fleet.refreshOne(name);
  if (vm !== undefined) return vm;
  fleet.refreshIfOlder(UNKNOWN_MS);
  return fleet.named(name);
}

/** What a request for metrics asks for. Undefined if the request was wrong, and was answered. */
function scrapeOf(
  { detail }: Site,
  { headers }: IncomingMessage,
  response: ServerResponse,
  query: URLSearchParams,
): (ScrapeQuery & { readonly contentType: string }) | undefined {
  const asked = query.get('detail') ?? detail;
  if (!DETAILS.some((one) => one === asked)) {
    sendText(response, 400, `detail must be ${DETAILS.join(' or ')}`);
    return undefined;
  }
  return { ...formatFor(headers.accept), detail: asked as Detail, names: new Set(query.getAll('name[]')) };
}

/** The address under which the client has reached this agent. */
function hostOf({ headers, socket }: IncomingMessage): string {
  const { host } = headers;
  if (host !== undefined && /^[\w.:[\]-]+$/.test(host)) return host;
  const { localAddress = 'localhost', localPort } = socket;
  return `${localAddress.includes(':') ? `[${localAddress}]` : localAddress}${localPort === undefined ? '' : `:${localPort}`}`;
}

/**
 * Whether a request comes from a page whose domain name leads to this machine. Only such a name has a dot and is no
 * address; a page of a foreign site could otherwise read the metrics through the browser of this machine's user.
 */
function isForeign(host: string | undefined): boolean {
  const [, name = ''] = /^([^[\]:]*)(?::\d*)?$/.exec(host ?? '') ?? [];
  return /[a-z]/i.test(name) && name.replace(/\.$/, '').includes('.') && !/\.localhost\.?$/i.test(name);
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/// <reference lib="dom" />
// The data of the agent. Requests carry the token if the agent asks for one; EventSource could not do that.

import { exactJson } from './exact-json.ts';

const RETRY_MS = 2000;
const TOKEN_KEY = 'vmm-metrics.token';

export type Link = 'live' | 'lost' | 'needs a token';

/** Requests data. Rejects if the agent cannot be reached; the response may be a refusal. */
export function request(path: string, signal?: AbortSignal): Promise<Response> {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  return fetch(path, { headers, cache: 'no-store', ...(signal && { signal }) });
}

/** Keeps the token until the tab is closed. */
export function keepToken(token: string): void {
  sessionStorage.setItem(TOKEN_KEY, token);
}

/**
 * Reads events for ever, and begins again whenever they end. A browser keeps six connections to a host, so a page that
 * nobody sees gives its connection back. Returns a function that begins again at once.
 */
export function follow<T>(path: string, onData: (data: T) => void, onLink: (link: Link) => void): () => void {
  let again = () => {};
  const wait = (ms: number | undefined) =>
    new Promise<void>((resolve) => {
      again = resolve;
      if (ms !== undefined) setTimeout(resolve, ms);
    });
  const run = async () => {
    for (;;) {
      await untilSeen();
      let link: Link = 'lost';
      const stop = new AbortController();
      const stopIfHidden = () => document.hidden && stop.abort();
      document.addEventListener('visibilitychange', stopIfHidden);
      try {
        const response = await request(path, stop.signal);
        if (response.status === 401) link = 'needs a token';
        else if (response.ok && response.body !== null) {
          onLink('live');
          await readEvents(response.body, onData);
        }
      } catch {
        // The agent is not there, or went away, or nobody sees the page.
      } finally {
        document.removeEventListener('visibilitychange', stopIfHidden);
      }
      if (stop.signal.aborted) continue;
      onLink(link);
      await wait(link === 'lost' ? RETRY_MS : undefined);
    }
  };
  void run();
  return () => again();
}

function untilSeen(): Promise<void> {
  return new Promise((resolve) => {
    if (document.hidden) document.addEventListener('visibilitychange', () => resolve(untilSeen()), { once: true });
    else resolve();
  });
}

async function readEvents<T>(body: ReadableStream<Uint8Array>, onData: (data: T) => void): Promise<void> {
  const reader = body.pipeThrough(new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>).getReader();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split('\n\n');
    text = events.pop()!;
    const last = events.at(-1);
    if (last !== undefined) onData(exactJson(last.slice('data: '.length)) as T); // only the newest data matters
  }
}

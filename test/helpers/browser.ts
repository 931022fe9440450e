// Pages in a headless Chromium, where the machine has one: driven over a pipe by the DevTools protocol.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

import { HANG_MS } from './limits.ts';

/** Undefined if Chromium is there; else what is missing. */
export const withoutChromium =
  spawnSync('chromium', ['--version'], { stdio: 'ignore' }).status === 0 ? undefined : 'Chromium is missing (Debian package chromium)';

export interface Page {
  /** The value of an expression in the page, or what its promise resolves to. Throws what the expression throws. */
  evaluate<T>(expression: string): Promise<T>;
  /** Evaluates the expression until it is true. Throws if that never happens. */
  until(expression: string): Promise<void>;
  /** Presses and releases a key, such as `Enter` or `a`. */
  press(key: string): Promise<void>;
  /** How long the page's main thread has worked, in milliseconds of processor time. */
  workedMs(): Promise<number>;
  /** What is seen, as PNG. */
  picture(): Promise<Buffer>;
  close(): Promise<void>;
  /** What the page has logged: errors, and violations of its policy. */
  readonly complaints: readonly string[];
}

export interface Screen {
  readonly width: number;
  readonly height: number;
  readonly isDark?: boolean;
  /** A script that runs before those of the page. */
  readonly before?: string;
}

type Message = Readonly<Record<string, unknown>>;

export interface Browser {
  open(url: string, screen?: Screen): Promise<Page>;
  close(): Promise<void>;
}

/** Starts a browser. */
export function startBrowser(): Browser {
  const folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-chromium-'));
  const args = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--remote-debugging-pipe'];
  const child = spawn('chromium', [...args, `--user-data-dir=${folder}`, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const [toBrowser, fromBrowser] = [child.stdio[3] as Writable, child.stdio[4] as Readable];
  for (const pipe of [toBrowser, fromBrowser]) pipe.on('error', () => {}); // the browser is killed while it talks
  const call = protocolOver(toBrowser, fromBrowser);
  void ended.then(() => call.end(new Error('Chromium has ended')));
  return {
    open: (url, screen = { width: 1400, height: 850 }) => openPage(call, url, screen),
    close: async () => {
      process.kill(-child.pid!, 'SIGKILL'); // with all its processes
      await ended;
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    },
  };
}

interface Protocol {
  send(method: string, params?: Message, sessionId?: string): Promise<Message>;
  hear(listener: (event: { method: string; params: Message; sessionId: string }) => void): void;
  /** Rejects what waits for an answer. */
  end(error: Error): void;
}

/** Messages of JSON, each before a zero byte. */
function protocolOver(out: Writable, back: Readable): Protocol {
  const waiting = new Map<number, { resolve: (result: Message) => void; reject: (error: Error) => void }>();
  const listeners: Parameters<Protocol['hear']>[0][] = [];
  let id = 0;
  let text = '';
  back.setEncoding('utf8').on('data', (part: string) => {
    const messages = (text + part).split('\0');
    text = messages.pop()!;
    for (const message of messages.map((one) => JSON.parse(one))) {
      if (message.id === undefined) for (const listener of listeners) listener(message);
      else if (message.error !== undefined) waiting.get(message.id)?.reject(new Error(message.error.message));
      else waiting.get(message.id)?.resolve(message.result);
      waiting.delete(message.id);
    }
  });
  return {
    send: (method, params = {}, sessionId) =>
      new Promise((resolve, reject) => {
        waiting.set(++id, { resolve, reject });
        out.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
      }),
    hear: (listener) => void listeners.push(listener),
    end: (error) => {
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
    },
  };
}

async function openPage(protocol: Protocol, url: string, { width, height, isDark = false, before }: Screen): Promise<Page> {
  const { targetId } = await protocol.send('Target.createTarget', { url: 'about:blank', newWindow: true });
  const { sessionId } = await protocol.send('Target.attachToTarget', { targetId, flatten: true });
  const send = (method: string, params?: Message) => protocol.send(method, params, sessionId as string);
  const complaints: string[] = [];
  protocol.hear(({ method, params, sessionId: of }) => {
    if (of !== sessionId) return;
    if (method === 'Log.entryAdded') complaints.push((params['entry'] as { text: string }).text);
    if (method === 'Runtime.exceptionThrown') complaints.push(JSON.stringify(params['exceptionDetails']));
  });
  for (const domain of ['Log', 'Runtime', 'Page']) await send(`${domain}.enable`);
  await send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 500 });
  await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: isDark ? 'dark' : 'light' }] });
  await send('Performance.enable', { timeDomain: 'threadTicks' });
  if (before !== undefined) await send('Page.addScriptToEvaluateOnNewDocument', { source: before });
  await send('Page.navigate', { url });
  const evaluate = async <T>(expression: string): Promise<T> => {
    const { result, exceptionDetails } = await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value: T }).value;
  };
  return {
    complaints,
    evaluate,
    until: async (expression) => {
      const endMs = performance.now() + HANG_MS;
      while (!(await evaluate<boolean>(expression))) {
        if (performance.now() > endMs) throw new Error(`this never became true: ${expression}; the page logged: ${complaints.join('; ')}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    workedMs: async () => {
      const { metrics } = (await send('Performance.getMetrics')) as { metrics: readonly { name: string; value: number }[] };
      return metrics.find(({ name }) => name === 'TaskDuration')!.value * 1000;
    },
    picture: async () => Buffer.from((await send('Page.captureScreenshot', { format: 'png' }))['data'] as string, 'base64'),
    close: async () => void (await protocol.send('Target.closeTarget', { targetId })),
    press: async (key) => {
      const text = key.length === 1 ? key : key === 'Enter' ? '\r' : undefined;
      await send('Input.dispatchKeyEvent', { type: 'keyDown', key, code: key, text });
      await send('Input.dispatchKeyEvent', { type: 'keyUp', key, code: key });
    },
  };
}

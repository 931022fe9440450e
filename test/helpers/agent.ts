// The agent of a host, `vmm-metrics serve`, as a process of its own, and what it answers.

import { spawn } from 'node:child_process';
import { type IncomingHttpHeaders, request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { onTestFinished } from 'vitest';

import { node } from './children.ts';
import { program } from './command.ts';
import { seriesOf } from './series.ts';

/** An address of this machine that is not on loopback, if there is one. */
export const elsewhere = Object.values(networkInterfaces()).flatMap((all) =>
  all!.filter(({ internal, family }) => !internal && family === 'IPv4'),
)[0]?.address;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
}

export interface RunningAgent {
  readonly pid: number;
  /** `http://HOST:PORT`, or `unix:PATH`. */
  readonly url: string;
  /** What it has written to standard error. */
  report(): string;
  get(path: string, headers?: Readonly<Record<string, string>>, method?: string): Promise<Answer>;
  /** The series of a path, see seriesOf(). */
  series(path?: string): Promise<Map<string, string>>;
  /** Ends it as a service manager does, and resolves to its exit code. */
  stop(): Promise<number | null>;
}

export async function runAgent(
  patterns: readonly string[],
  options: readonly string[] = [],
  hears?: (text: string) => void,
  nodeOptions: readonly string[] = [],
): Promise<RunningAgent> {
  const listen = options.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
  const child = spawn(node, [...nodeOptions, program, 'serve', ...patterns, ...listen, ...options], {
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let stderr = '';
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      hears?.(text);
      const [, found] = /listening on (\S+);/.exec(stderr) ?? [];
      if (found !== undefined) resolve(found);
    });
    void ended.then((code) => reject(new Error(`the agent ended with ${code}: ${stderr}`)));
  });
  const get = (path: string, headers = {}, method = 'GET') => asked(url, path, headers, method);
  return {
    pid: child.pid!,
    url,
    report: () => stderr,
    get,
    series: async (path = '/metrics') => seriesOf((await get(path)).text),
    stop: () => {
      child.kill('SIGTERM');
      return ended;
    },
  };
}

function asked(url: string, path: string, headers: Readonly<Record<string, string>>, method: string): Promise<Answer> {
  const to = url.startsWith('unix:')
    ? { socketPath: url.slice(5) }
    : { host: new URL(url).hostname.replace(/[[\]]/g, ''), port: new URL(url).port };
  return new Promise((resolve, reject) => {
    const sent = request({ ...to, path, headers, method, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const body = Buffer.concat(parts);
        resolve({ status: response.statusCode!, headers: response.headers, body, text: body.toString() });
      });
    });
    sent.on('error', reject).end();
  });
}

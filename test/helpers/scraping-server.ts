// Servers that scrape: a real Prometheus, and a real VictoriaMetrics, which answers the same queries.

import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

import { temporaryFolder } from './workplace.ts';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A native histogram, as the server returns it: each bucket with its kind, its edges and its count. */
interface NativeHistogram {
  readonly count: string;
  readonly sum: string;
  readonly buckets: readonly (readonly [kind: number, above: string, upTo: string, count: string])[];
}

interface Result {
  readonly metric: Record<string, string>;
  readonly value?: readonly [number, string];
  readonly histogram?: readonly [number, NativeHistogram];
}

export interface Answer {
  readonly labels: Record<string, string>;
  readonly value: string | undefined;
  readonly histogram: NativeHistogram | undefined;
}

/** Undefined if the server is there; else what is missing. */
export const withoutPrometheus = missing('prometheus');
export const withoutVictoriaMetrics = missing('victoria-metrics');

function missing(program: string): string | undefined {
  return spawnSync(program, ['--version']).status === 0 ? undefined : `${program} is missing (Debian package ${program})`;
}

export function runPrometheus(scrapeConfigs: string, options: readonly string[] = []) {
  return run('prometheus', scrapeConfigs, (config, data, address) => [
    `--config.file=${config}`,
    `--storage.tsdb.path=${data}`,
    `--web.listen-address=${address}`,
    ...options,
  ]);
}

export function runVictoriaMetrics(scrapeConfigs: string) {
  return run('victoria-metrics', scrapeConfigs, (config, data, address) => [
    `-promscrape.config=${config}`,
    `-storageDataPath=${data}`,
    `-httpListenAddr=${address}`,
    '-search.latencyOffset=1ms', // a query sees values at once
  ]);
}

type Options = (config: string, data: string, address: string) => string[];

/** Runs a server with these scrape_configs, which can be asked for the values of a query. */
async function run(program: string, scrapeConfigs: string, options: Options) {
  const folder = temporaryFolder();
  const config = join(folder, 'prometheus.yml');
  writeFileSync(config, `global:\n  scrape_interval: 500ms\n  scrape_timeout: 500ms\nscrape_configs:\n${scrapeConfigs}`);
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(program, options(config, join(folder, 'data'), address), { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  let hasEnded = false;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve())).then(() => {
    hasEnded = true;
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const query = async (text: string): Promise<Answer[]> => {
    if (hasEnded) throw new Error(`${program} has ended: ${log}`);
    try {
      const response = await fetch(`http://${address}/api/v1/query?query=${encodeURIComponent(text)}`);
      const { data } = (await response.json()) as { data: { result: Result[] } };
      return data.result.map(({ metric, value, histogram }) => ({ labels: metric, value: value?.[1], histogram: histogram?.[1] }));
    } catch {
      return []; // the server is not ready yet
    }
  };
  return {
    url: `http://${address}`,
    log: () => log,
    query,
    /** Asks until there are this many values. */
    until: async (text: string, count: number) => {
      for (;;) {
        const values = await query(text);
        if (values.length === count) return values;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
  };
}

// `vmm-metrics serve`: the agent of a host. Its code is loaded only when it is used.

import { setFlagsFromString } from 'node:v8';

import { checkedChoice, checkedInteger, checkedPath } from '../arguments.ts';
import { asUsageError, type Command, numberOf, parsedMany, report, UsageError } from './command.ts';

const HELP = `Usage: vmm-metrics serve PATTERN... [OPTION]...

Serves the metrics in region files to Prometheus, for all virtual machines of a
host, running or dead. Reads the files only: their processes notice nothing.

PATTERN is a region file, a folder, or a path in which * stands for any text
within one part, such as '/run/*/metrics.region'; quote it for the shell. A
folder stands for all region files in it, in depth. Files may come and go.

  --listen ADDR        where to listen: HOST:PORT, [IPV6]:PORT, :PORT or
                       unix:PATH (default: 127.0.0.1:9910)
  --token-file FILE    a file with a token. Clients then send the header
                       'Authorization: Bearer TOKEN'. Needed to listen on an
                       address that other machines can reach
  --name-from SOURCE   where the label vm comes from: path, id or name
                       (default: path: what the first * matched, or else the
                       path below the folder)
  --detail vm|device   what /metrics shows of devices: their sum, or each one
                       (default: device)
  --keep TIME          how long the last values of a dead process are shown
                       (default: 15m)
  --forget TIME        how long its state is shown (default: 24h)
  --max-series N       show only the state of a process with more series
                       (default: 100000)
  --otlp URL           also send the metrics to an OpenTelemetry receiver, by HTTP
                       with protobuf
  --otlp-interval TIME how often (default: 60s)
  --other-users        also read regions that belong to other users

TIME is a number and a unit: ms, s, m, h or d.

  /metrics             all virtual machines; ?detail=vm|device, ?name[]=NAME
  /vm/NAME/metrics     one of them
  /sd                  all of them as targets, for http_sd_configs
  /data/fleet, /data/vm/NAME, /data/events
                       the same as JSON

docs/serve.md explains the metrics.
`;

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SERIES_MAX = 100_000;

const OPTIONS = {
  listen: { type: 'string' },
  'token-file': { type: 'string', value: 'file' },
  'name-from': { type: 'string', value: ['path', 'id', 'name'] },
  detail: { type: 'string', value: ['vm', 'device'] },
  keep: { type: 'string' },
  forget: { type: 'string' },
  'max-series': { type: 'string' },
  'other-users': { type: 'boolean' },
  otlp: { type: 'string' },
  'otlp-interval': { type: 'string' },
} as const;

export const serve: Command = {
  summary: 'serve the metrics of all virtual machines to Prometheus',
  help: HELP,
  options: OPTIONS,
  operands: 'file',
  async run(args) {
    const { values, operands } = parsedMany(args, OPTIONS, 'PATTERN');
    for (const operand of operands) asUsageError(() => checkedPath('PATTERN', operand));
    // The first readings of many files would make V8 give new objects 48 MiB, and it would never give them back.
    setFlagsFromString('--semi-space-growth-factor=1');
    const { addressFrom, DEFAULT_LISTEN, DETAILS, NAME_SOURCES, otlpUrl, startAgent } = await import('../serve/agent.ts');
    const listen = asUsageError(() => addressFrom(values.listen ?? DEFAULT_LISTEN));
    const tokenFile = values['token-file'];
    if (tokenFile !== undefined) asUsageError(() => checkedPath('--token-file', tokenFile));
    const { otlp: receiver, 'otlp-interval': interval } = values;
    if (receiver === undefined && interval !== undefined) throw new UsageError('--otlp-interval needs --otlp');
    const intervalMs = timeOf('--otlp-interval', interval ?? '60s');
    if (intervalMs < 100) throw new UsageError('--otlp-interval must be at least 100ms');
    const otlp = receiver === undefined ? undefined : { url: asUsageError(() => otlpUrl(receiver)), intervalMs };
    const agent = await startAgent({
      patterns: operands,
      listen,
      tokenFile,
      nameFrom: asUsageError(() => checkedChoice('--name-from', values['name-from'] ?? 'path', NAME_SOURCES)),
      detail: asUsageError(() => checkedChoice('--detail', values.detail ?? 'device', DETAILS)),
      keepMs: timeOf('--keep', values.keep ?? '15m'),
      forgetMs: timeOf('--forget', values.forget ?? '24h'),
      seriesMax: numberOf(values['max-series'] ?? `${SERIES_MAX}`, (value) => checkedInteger('--max-series', value, 1, 10_000_000)),
      otlp,
      owners: values['other-users'] ? 'any' : 'own',
      report,
    });
    report(`listening on ${agent.url}; region files: ${agent.files}`);
    await stopped();
    await agent.close();
    return 0;
  },
};

/** Milliseconds. */
function timeOf(option: string, text: string): number {
  const [, number, unit] = /^(\d{1,9}(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  if (number === undefined) throw new UsageError(`${option} must be a number and a unit (ms, s, m, h or d), such as 15m; got '${text}'`);
  return Number(number) * UNITS[unit as keyof typeof UNITS];
}

/** Resolves when the process is told to end. */
function stopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}

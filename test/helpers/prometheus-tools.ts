// Independent readers of expositions, where the machine has them: promtool, and the strict OpenMetrics parser of
// Debian's python3-prometheus-client.

import { spawnSync } from 'node:child_process';

function isThere(command: string, ...args: string[]): boolean {
  return spawnSync(command, args).status === 0;
}

/** Undefined if promtool is there; else what is missing. */
export const withoutPromtool = isThere('promtool', '--version') ? undefined : 'promtool is missing (Debian package prometheus)';

const PYTHON = '/usr/bin/python3';
/** Undefined if the parser is there; else what is missing. */
export const withoutParser = isThere(PYTHON, '-c', 'import prometheus_client.openmetrics.parser')
  ? undefined
  : 'the OpenMetrics parser is missing (Debian package python3-prometheus-client)';

/** What promtool has to say. Its exit code is 1 for text that Prometheus cannot read, and 3 for a matter of taste. */
export function promtoolCheck(text: string): { code: number | null; remarks: string[] } {
  const { status, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  return { code: status, remarks: stderr.split('\n').filter((line) => line !== '') };
}

export interface ParsedFamily {
  readonly name: string;
  readonly type: string;
  readonly unit: string;
  readonly help: string;
  readonly samples: readonly { readonly name: string; readonly labels: Record<string, string>; readonly value: string }[];
}

const PARSE = `
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
text = sys.stdin.buffer.read().decode('utf-8')
print(json.dumps([{'name': f.name, 'type': f.type, 'unit': f.unit, 'help': f.documentation, 'samples': [
  {'name': s.name, 'labels': s.labels, 'value': str(s.value)} for s in f.samples]} for f in parse(text)]))
`;

/** The families of an OpenMetrics text, as the strict parser reads them. Throws what the parser throws. */
export function parsedStrictly(text: string): ParsedFamily[] {
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-c', PARSE], { input: text, encoding: 'utf8', maxBuffer: 1 << 30 });
  if (status !== 0) throw new Error(stderr.trim().split('\n').at(-1));
  return JSON.parse(stdout) as ParsedFamily[];
}

// Reads Prometheus' protobuf format with protobufjs, which has nothing in common with the writer. The definitions are
// those of `metrics.proto` in Prometheus' repository client_model.

import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';

const PROTO = readFileSync(new URL('../fixtures/metrics.proto', import.meta.url), 'utf8');

const MetricFamily = protobuf.parse(PROTO, { keepCase: true }).root.lookupType('io.prometheus.client.MetricFamily');

/** The messages as plain objects, with 64-bit integers as text. */
export function metricFamiliesIn(bytes: Uint8Array): Record<string, unknown>[] {
  const reader = protobuf.Reader.create(bytes);
  const families: Record<string, unknown>[] = [];
  while (reader.pos < reader.len) {
    families.push(MetricFamily.toObject(MetricFamily.decodeDelimited(reader), { longs: String, enums: String, arrays: true }));
  }
  return families;
}

interface PlainFamily {
  readonly name: string;
  readonly metric: readonly {
    readonly label: readonly { readonly name: string; readonly value: string }[];
    readonly gauge?: { readonly value: number };
    readonly counter?: { readonly value: number };
    readonly summary?: { readonly sample_count?: string; readonly sample_sum: number };
  }[];
}

/** The samples of counters, gauges and summaries as the text names them, see seriesOf(). */
export function plainSamplesIn(families: readonly Record<string, unknown>[]): Map<string, number> {
  const samples = new Map<string, number>();
  for (const { name, metric } of families as unknown as readonly PlainFamily[]) {
    for (const { label, gauge, counter, summary } of metric) {
      const pairs = label.map((one) => `${one.name}=${JSON.stringify(one.value)}`).join(',');
      const key = (suffix: string) => `${name}${suffix}${pairs && `{${pairs}}`}`;
      const value = (gauge ?? counter)?.value;
      if (value !== undefined) samples.set(key(''), value);
      if (summary === undefined) continue;
      if (summary.sample_count !== undefined) samples.set(key('_count'), Number(summary.sample_count));
      samples.set(key('_sum'), summary.sample_sum);
    }
  }
  return samples;
}

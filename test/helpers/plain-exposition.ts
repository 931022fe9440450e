// A second, slow way to write an exposition: from the list that collect() returns, one line after the other. The tests
// compare it with the text that is kept and patched.

import type { CollectedMetric, LatencyValue } from 'vmm-metrics';

export interface PlainSource {
  readonly collected: readonly CollectedMetric[];
  readonly labels: Readonly<Record<string, string>>;
}

interface PlainFamily {
  readonly header: string;
  readonly lines: string[];
}

const BASE = {
  count: ['', '', 0n],
  bytes: ['bytes', '_bytes', 0n],
  ns: ['seconds', '_ns', 9n],
  us: ['seconds', '_us', 6n],
  ms: ['seconds', '_ms', 3n],
} as const;

/** `groupsOfDevices` have families of their own for devices and for all devices together. */
export function plainExposition(sources: readonly PlainSource[], isOpenMetrics: boolean, lessExtremes: readonly string[] = []): string {
  const families = new Map<string, PlainFamily>();
  for (const { collected, labels } of sources) {
    for (const metric of collected) addMetric(families, metric, labels, isOpenMetrics, lessExtremes);
  }
  // Families of devices come before those of all devices, also where the first source has no device.
  const text = [...families.values()].map(({ header, lines }) => header + lines.join('')).join('');
  return isOpenMetrics ? `${text}# EOF\n` : text;
}

function addMetric(
  families: Map<string, PlainFamily>,
  metric: CollectedMetric,
  labels: Readonly<Record<string, string>>,
  isOpenMetrics: boolean,
  lessExtremes: readonly string[],
): void {
  const { group, device, aggregate, name, kind, unit, doc, value } = metric;
  const [base, ending, decimals] = BASE[name.includes('bytes_') ? 'count' : unit];
  const begin = `vmm_${group}_${aggregate ? 'all_' : ''}`;
  const named = (stem: string, part = '') => {
    const bare = ending !== '' && stem.endsWith(ending) ? stem.slice(0, -ending.length) : stem;
    return `${begin}${bare}${part}${base === '' ? '' : `_${base}`}`;
  };
  const all = Object.entries({ ...labels, ...(device !== undefined && { device }) });
  const escaped = (text: string) => text.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n');
  const inBraces = all.length === 0 ? '' : `{${all.map(([label, text]) => `${label}="${escaped(text)}"`).join(',')}}`;
  const add = (family: string, type: string, suffix: string, number: bigint, help = doc, places: bigint = decimals) => {
    const shown = type === 'counter' && !isOpenMetrics ? `${family}_total` : family;
    const helpText = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
    const header = isOpenMetrics
      ? `# TYPE ${shown} ${type}\n${base === '' ? '' : `# UNIT ${shown} ${base}\n`}# HELP ${shown} ${helpText.replaceAll('"', '\\"')}\n`
      : `# HELP ${shown} ${helpText}\n# TYPE ${shown} ${type}\n`;
    if (!families.has(family)) families.set(family, { header, lines: [] });
    families.get(family)!.lines.push(`${family}${suffix}${inBraces} ${decimal(number, places)}\n`);
  };
  if (kind === 'inc') add(named(name.replace(/_total$/, '')), 'counter', '_total', value as bigint);
  if (kind === 'store') add(named(name), 'gauge', '', value as bigint);
  if (kind !== 'latency') return;
  const { count, min_us, max_us, sum_us } = value as LatencyValue;
  add(named(name), 'summary', '_count', count, doc, 0n);
  add(named(name), 'summary', '_sum', sum_us);
  if (aggregate && lessExtremes.includes(group)) return;
  add(named(name, '_min'), 'gauge', '', min_us, `${doc} (the shortest; 0 before the first)`);
  add(named(name, '_max'), 'gauge', '', max_us, `${doc} (the longest)`);
}

/** A fixed-point number as text. */
export function decimal(value: bigint, decimals: bigint): string {
  if (decimals === 0n) return `${value}`;
  const whole = value / 10n ** decimals;
  const fraction = `${value % 10n ** decimals}`.padStart(Number(decimals), '0').replace(/0+$/, '');
  return fraction === '' ? `${whole}` : `${whole}.${fraction}`;
}

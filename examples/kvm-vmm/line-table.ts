// Formats a flushed line as a table for people: all values that are not zero. Pure: values in, text out.

import { type Schema, unitOf } from 'vmm-metrics';

/** One row. A latency has several values, so it has no `value`. */
export interface LineRow {
  readonly group: string;
  readonly name: string;
  readonly unit: string;
  readonly value?: bigint;
  readonly latency?: { readonly min: bigint; readonly max: bigint; readonly sum: bigint; readonly count: bigint };
}

/** The fields of one group, with the values of the group or of one of its devices. */
interface Section {
  readonly group: string;
  readonly fields: Fields;
  readonly values: Values;
}
type Fields = Extract<Schema['shape'][string], { fields: unknown }>['fields'];
type Values = Readonly<Record<string, unknown>>;

/** The rows of one flushed line, already parsed: deltas since the line before. */
export function rowsOfLine(schema: Schema, line: Values): LineRow[] {
  const sections: Section[] = [];
  for (const [key, entry] of Object.entries(schema.shape)) {
    if (entry.kind === 'group') sections.push({ group: key, fields: entry.fields, values: line[key] as Values });
    if (entry.kind !== 'perDevice') continue;
    const devices = Object.keys(line).filter((k) => k.startsWith(`${key}_`) && !Object.hasOwn(schema.shape, k));
    for (const device of devices) sections.push({ group: device, fields: entry.fields, values: line[device] as Values });
    if (devices.length > 1 && Object.hasOwn(line, key)) sections.push({ group: key, fields: entry.fields, values: line[key] as Values });
  }
  return sections.flatMap(rowsOfSection);
}

function rowsOfSection({ group, fields, values }: Section): LineRow[] {
  const rows: LineRow[] = [];
  for (const [name, def] of Object.entries(fields)) {
    const unit = unitOf(name, def);
    if (def.kind !== 'latency') {
      const value = asBigInt(values[name]);
      if (value !== 0n) rows.push({ group, name, unit, value });
      continue;
    }
    const parts = values[name] as { min_us: unknown; max_us: unknown; sum_us: unknown };
    const [min, max, sum] = [asBigInt(parts.min_us), asBigInt(parts.max_us), asBigInt(parts.sum_us)];
    // A counter beside the latency tells how many durations there were: exit_io_in for exit_io_in_agg, read_count for
    // read_agg.
    const base = name.replace(/_agg$/, '');
    const count = asBigInt(values[base] ?? values[`${base}_count`] ?? 0);
    if (max !== 0n || sum !== 0n) rows.push({ group, name, unit, latency: { min, max, sum, count } });
  }
  return rows;
}

const HEADER = ['metric', 'value', 'unit', 'min', 'max', 'sum', 'avg'];
const LEFT = new Set([0, 2]); // text columns; the others are numbers

/**
 * Lays rows out in aligned columns, with a blank line between groups. `highlight` may replace the text of a row.
 */
export function formatTable(rows: readonly LineRow[], highlight: (row: LineRow, text: string) => string = (_, text) => text): string {
  const cells = rows.map(cellsOf);
  const widths = HEADER.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column]?.length ?? 0)));
  const pad = (cell: string, column: number) => (LEFT.has(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0));
  const aligned = (row: readonly string[]) => row.map(pad).join('  ').trimEnd();
  const lines = [aligned(HEADER), widths.map((width) => '-'.repeat(width)).join('  ')];
  rows.forEach((row, i) => {
    if (i > 0 && rows[i - 1]?.group !== row.group) lines.push('');
    lines.push(highlight(row, aligned(cells[i] ?? [])));
  });
  return lines.join('\n');
}

function cellsOf({ group, name, unit, value, latency }: LineRow): string[] {
  const metric = `${group}.${name}`;
  if (latency === undefined) return [metric, grouped(value ?? 0n), unit, '', '', '', ''];
  const { min, max, sum, count } = latency;
  const average = count === 0n ? '' : (Number(sum) / Number(count)).toFixed(2);
  return [metric, '', unit, grouped(min), grouped(max), grouped(sum), average];
}

function grouped(value: bigint): string {
  return value.toLocaleString('en-US');
}

function asBigInt(value: unknown): bigint {
  return BigInt(value as bigint | number);
}

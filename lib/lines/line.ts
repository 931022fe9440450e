// One flushed line: a JSON object whose numbers are integers of up to 64 bits. Pure.

/** The numbers of a line. */
export interface LineNumbers {
  /** The time of the flush, in milliseconds since 1970, if the line has one. */
  readonly timeMs: number | undefined;
  /** The metrics in the order of the line: paths such as `vcpu.exit_io_out` and `block_rootfs.read_agg.sum_us`. */
  readonly numbers: readonly (readonly [path: string, value: bigint])[];
}

/** A double is exact for every integer of up to this many digits. */
const LONG = /\d{16}/;
const STRING_OR_LONG = /"(?:[^"\\]|\\.)*"|(?<![\d.eE+-])\d{16,}(?![\d.eE])/g;

/**
 * The numbers of a line; undefined if the text is torn: not one JSON object. `timeKey` is the key of the line's time.
 */
export function numbersOf(text: string, timeKey: string): LineNumbers | undefined {
  const line = parsed(text);
  if (line === undefined) return undefined;
  const time = line[timeKey];
  const numbers: [string, bigint][] = [];
  for (const [key, value] of Object.entries(line)) if (key !== timeKey) collect(key, value, numbers);
  return { timeMs: typeof time === 'number' && time >= 0 ? time : undefined, numbers };
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    JSON.parse(text);
    // JSON.parse rounds long integers, so they become strings first. NUL occurs in no string that a line contains.
    const exact = LONG.test(text) ? text.replace(STRING_OR_LONG, (token) => (token.startsWith('"') ? token : `"\\u0000${token}"`)) : text;
    const value: unknown = JSON.parse(exact);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function collect(path: string, value: unknown, numbers: [string, bigint][]): void {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) numbers.push([path, BigInt(value)]);
  else if (typeof value === 'string' && /^\0\d+$/.test(value)) numbers.push([path, BigInt(value.slice(1))]);
  else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    for (const [key, part] of Object.entries(value)) collect(`${path}.${key}`, part, numbers);
  }
}

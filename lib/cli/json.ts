// JSON of readings: 64-bit integers as they are, which JSON.stringify refuses.

/** Plain data as JSON text; bigints exactly, dates as ISO strings, what is undefined left out. */
export function jsonOf(value: unknown): string {
  if (typeof value === 'bigint') return `${value}`;
  if (value instanceof Date) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(jsonOf).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, one]) => one !== undefined && typeof one !== 'function');
    return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${jsonOf(one)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

// JSON with exact 64-bit integers, which JSON.stringify refuses.

/** Plain data as JSON text: bigints in full, dates as ISO strings; functions and undefined properties are left out. */
export function jsonOf(value: unknown): string {
  if (typeof value === 'bigint') return `${value}`;
  if (value instanceof Date) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(jsonOf).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined && typeof item !== 'function');
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${jsonOf(item)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

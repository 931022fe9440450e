// JSON with exact 64-bit integers, which JSON.stringify refuses.

/**
 * Plain data as JSON text, such as what `snapshot()`, `collect()` and `readRegion()` return. A bigint becomes an
 * integer with all its digits, which `JSON.stringify` refuses to write. Dates become ISO strings. Functions and
 * undefined properties are left out; in a list they become null.
 *
 * Pure, so any thread may call it.
 */
export function jsonText(value: unknown): string {
  if (typeof value === 'bigint') return `${value}`;
  if (value instanceof Date) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined && typeof item !== 'function');
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${jsonText(item)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

// The fields of a profile's header line: the time, and then a name per column. Pure.

/** The first field of the header. */
export const TIME_FIELD = 'Time (ns)';

const ESCAPES: Record<string, string> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };
const CHARACTERS = Object.fromEntries(Object.entries(ESCAPES).map(([character, sequence]) => [sequence, character]));

/** A name as a field: the id of a device may contain a tab or a newline. */
export function fieldOf(name: string): string {
  return name.replace(/[\\\t\n\r]/g, (character) => ESCAPES[character]!);
}

/** The name that a field stands for. */
export function nameOf(field: string): string {
  return field.replace(/\\[\\tnr]/g, (sequence) => CHARACTERS[sequence]!);
}

// The names and the escapes of Prometheus. Pure.

import { checkedPlainObject, checkedText, shown } from '../arguments.ts';
import { namedUnitOf, nameWithoutUnit } from '../base-unit.ts';
import type { Unit } from '../schema.ts';

/** A metric's name with its base unit at the end. `part` stands before the unit, such as `_min`. */
export function nameInBaseUnit(name: string, unit: Unit, part = ''): string {
  const base = namedUnitOf(name, unit).name;
  return `${nameWithoutUnit(name, unit)}${part}${base === '' ? '' : `_${base}`}`;
}

/** A label's value as it stands between quotes. */
export function escapedLabel(value: string): string {
  return /[\\"\n]/.test(value) ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n') : value;
}

/** The text of a HELP line. OpenMetrics also escapes quotes. */
export function escapedHelp(text: string, isOpenMetrics: boolean): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return isOpenMetrics ? escaped.replaceAll('"', '\\"') : escaped;
}

/** The values of labels, by name. */
export type Labels = Readonly<Record<string, string>>;

/** Labels as they stand between braces, in the order of the object. */
export function labelsText(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escapedLabel(value)}"`)
    .join(',');
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What names begin with. */
export function checkedPrefix(name: string, prefix: unknown): void {
  const text = checkedText(name, prefix);
  if (text !== '' && !NAME.test(text)) {
    throw new RangeError(`${name} may have letters, digits and '_', and must not start with a digit; got ${shown(text)}`);
  }
}

/** Labels that the formats, or this package, give a meaning. */
const RESERVED = new Set(['device', 'le', 'quantile']);

/** The labels of a source. */
export function checkedLabels(name: string, index: number, labels: unknown): Labels {
  const all = checkedPlainObject(name, labels, ' of strings') as Record<string, unknown>;
  for (const [label, value] of Object.entries(all)) {
    if (!NAME.test(label)) {
      throw new RangeError(
        `${name}: ${shown(label)} cannot be a label: it may have letters, digits and '_', and must not start with a digit`,
      );
    }
    if (RESERVED.has(label) || label.startsWith('__')) throw new RangeError(`${name}: the label ${shown(label)} is reserved`);
    checkedText(`${name}.${label} of source ${index}`, value);
  }
  return all as Labels;
}

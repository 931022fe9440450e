// Errors for misspelt names of metrics. TypeScript rejects such names. Plain JavaScript would go on with `undefined`,
// and fail one call later with an error that names nothing.

import { INSPECT } from './inspected.ts';

/**
 * Names that JavaScript itself, or a tool such as an inspector, a test runner or a serializer, reads from any object.
 * For these, an accessor object answers as any other object does.
 */
const ASKED_OF_ANY_OBJECT = new Set([
  ...Object.getOwnPropertyNames(Object.prototype),
  ...['then', 'catch', 'finally', 'toJSON', 'inspect', 'length', 'name', 'prototype', 'next', 'default', 'href', 'protocol'],
  ...['asymmetricMatch', 'nodeType', 'nodeName', 'tagName', 'hasAttribute', '_isMockFunction'],
]);

/** How many names an error lists at most. */
const NAMES_SHOWN = 12;

/**
 * A prototype for objects whose names are own properties: reading any other name throws a TypeError that lists the
 * known names. Reading an own property never reaches the prototype, so it does not become slower. `in` and
 * `Object.keys()` are not affected.
 *
 * `where` is how the user reaches the object, such as `metrics.app.vcpu`; `names` are the names that it has.
 */
export function throwsForUnknown(where: string, names: readonly string[]): object {
  return throwing((name) => new TypeError(`${where} has no '${name}'; ${whatThereIs(name, names)}`), shownAsPlain);
}

/** What console.log() shows: the own properties, as if the object were a literal. */
function shownAsPlain(this: object): object {
  return { ...this };
}

/**
 * A prototype like that of throwsForUnknown(), for any error. `receiver` is the object whose property was read.
 * `util.inspect()` calls `custom`, if given, instead of looking at the object.
 */
export function throwing(error: (name: string, receiver: object) => Error, custom?: () => object): object {
  return new Proxy(Object.freeze(Object.create(null) as object), {
    get(_target, name, receiver: object) {
      if (name === INSPECT) return custom;
      if (name === 'toString' || name === 'valueOf') return Object.prototype[name]; // else a template literal throws
      if (typeof name === 'symbol' || ASKED_OF_ANY_OBJECT.has(name) || !/^[A-Za-z_]\w*$/.test(name)) return undefined;
      throw error(name, receiver);
    },
  });
}

/** The end of a message: a guess, if a known name is similar, and a list of the names. */
export function whatThereIs(name: string, names: readonly string[]): string {
  const near = names.map((one) => [distance(name.toLowerCase(), one.toLowerCase()), one] as const).sort(([a], [b]) => a - b);
  const [nearest] = near;
  const guess = nearest !== undefined && nearest[0] <= Math.max(2, name.length / 4) ? `did you mean '${nearest[1]}'? ` : '';
  const shown = (names.length > NAMES_SHOWN ? near.slice(0, NAMES_SHOWN).map(([, one]) => one) : names).map((one) => `'${one}'`).join(', ');
  return `${guess}there ${names.length === 1 ? 'is' : 'are'} ${shown}${names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : ''}`;
}

/** The number of letters to insert, drop or replace to turn one text into the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

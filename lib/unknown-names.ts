// What an accessor object answers to a name that it does not have. TypeScript refuses a misspelt metric; plain
// JavaScript would go on with `undefined`, and fail one call later with an error that names nothing.

import { inspect } from 'node:util';

/**
 * Names that JavaScript itself, and tools that look at any object (inspectors, test runners, serializers), ask for; to
 * them an accessor object answers as any object would.
 */
const ASKED_OF_ANY_OBJECT = new Set([
  ...Object.getOwnPropertyNames(Object.prototype),
  ...['then', 'catch', 'finally', 'toJSON', 'inspect', 'length', 'name', 'prototype', 'next', 'default', 'href', 'protocol'],
  ...['asymmetricMatch', 'nodeType', 'nodeName', 'tagName', 'hasAttribute', '_isMockFunction'],
]);

/** At most so many names stand in an error. */
const NAMES_SHOWN = 12;

/**
 * A prototype for objects that have their names as own properties: reading any other name throws a TypeError that says
 * what there is. Own properties never come here, so reading them costs what it did; `in` and `Object.keys()` see
 * nothing of it.
 *
 * `where` says where the object is, such as `metrics.app.vcpu`; `names` what it has.
 */
export function throwsForUnknown(where: string, names: readonly string[]): object {
  return throwing((name) => new TypeError(`${where} has no '${name}'; ${whatThereIs(name, names)}`), shownAsPlain);
}

/** What console.log() shows: the own properties, as of an object literal. */
function shownAsPlain(this: object): object {
  return { ...this };
}

/**
 * The same with an error of one's own. `receiver` is the object whose property was read. `custom` is what
 * `util.inspect()` calls, if it is not to look by itself.
 */
export function throwing(error: (name: string, receiver: object) => Error, custom?: () => object): object {
  return new Proxy(Object.freeze(Object.create(null) as object), {
    get(_target, name, receiver: object) {
      if (name === inspect.custom) return custom;
      if (name === 'toString' || name === 'valueOf') return Object.prototype[name]; // else a template literal throws
      if (typeof name === 'symbol' || ASKED_OF_ANY_OBJECT.has(name) || !/^[A-Za-z_]\w*$/.test(name)) return undefined;
      throw error(name, receiver);
    },
  });
}

/** The end of a sentence: the nearest name first, then what else there is. */
export function whatThereIs(name: string, names: readonly string[]): string {
  const near = names.map((one) => [distance(name.toLowerCase(), one.toLowerCase()), one] as const).sort(([a], [b]) => a - b);
  const [nearest] = near;
  const guess = nearest !== undefined && nearest[0] <= Math.max(2, name.length / 4) ? `did you mean '${nearest[1]}'? ` : '';
  const shown = (names.length > NAMES_SHOWN ? near.slice(0, NAMES_SHOWN).map(([, one]) => one) : names).map((one) => `'${one}'`).join(', ');
  return `${guess}there ${names.length === 1 ? 'is' : 'are'} ${shown}${names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : ''}`;
}

/** How many letters to insert, drop or replace to make one text of the other. */
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

// Objects with the same keys, many times. A function that makes them with one object literal is three times as fast as
// adding key after key: V8 knows the shape of the literal's objects in advance.

type Maker<I> = <V>(items: readonly I[], valueAt: (item: I) => V) => Record<string, V>;

/** Makes objects that have one key for each of the items. */
export class ObjectMaker<I> {
  readonly #items: readonly I[];
  readonly #keys: readonly string[];
  #make: Maker<I> | undefined;
  #isUsed = false;

  /**
   * @param keys The keys, in the order of the items: names of a schema, and so never `__proto__`.
   */
  constructor(items: readonly I[], keyOf: (item: I) => string) {
    this.#items = items;
    this.#keys = items.map(keyOf);
  }

  /** An object with the value of each item. */
  make<V>(valueAt: (item: I) => V): Record<string, V> {
    if (this.#make !== undefined) return this.#make(this.#items, valueAt);
    // Most regions are read once. Only the second object is worth a function.
    if (this.#isUsed) this.#make = literalMaker<I>(this.#keys) ?? ((items, valueAt) => this.#fromEntries(items, valueAt));
    this.#isUsed = true;
    return this.#fromEntries(this.#items, valueAt);
  }

  #fromEntries<V>(items: readonly I[], valueAt: (item: I) => V): Record<string, V> {
    return Object.fromEntries(items.map((item, i) => [this.#keys[i]!, valueAt(item)]));
  }
}

/**
 * The function, as text that is compiled. Undefined where that is forbidden, as with the option
 * `--disallow-code-generation-from-strings` of Node.
 */
function literalMaker<I>(keys: readonly string[]): Maker<I> | undefined {
  const properties = keys.map((key, i) => `${JSON.stringify(key)}: valueAt(items[${i}])`);
  try {
    return new Function('items', 'valueAt', `return { ${properties.join(', ')} };`) as Maker<I>;
  } catch {
    return undefined;
  }
}

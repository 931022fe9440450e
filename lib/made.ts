// The definitions that inc(), store(), latency() and histogram() have made: no schema checks them a second time. Pure.

const madeHere = new WeakSet<object>();

/** Freezes a checked definition. */
export function made<D extends object>(def: D): D {
  madeHere.add(def);
  return Object.freeze(def);
}

export function isMade(def: object): boolean {
  return madeHere.has(def);
}

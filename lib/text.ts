// Numbers as people read them. Pure.

/** A whole number with a comma between groups of three digits. */
export function digits(value: bigint): string {
  return `${value}`.replace(/\B(?=(\d{3})+$)/g, ',');
}

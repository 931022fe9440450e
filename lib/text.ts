// Numbers as people read them. Pure.

/** A whole number with a comma between groups of three digits. */
export function digits(value: bigint): string {
  const text = `${value}`;
  return text.length <= 3 ? text : text.replace(/\B(?=(\d{3})+$)/g, ',');
}

// Short texts of numbers for a page. Pure. The page takes the functions as text, so they use nothing from outside
// themselves.

/** With four digits and a letter for the size: `12.5k`. */
export function shortNumber(value: number): string {
  const steps = [
    [1e18, 'E'],
    [1e15, 'P'],
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const;
  for (const [size, letter] of steps) if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(4))}${letter}`;
  return String(Number(value.toPrecision(4)));
}

/** A duration with three digits, in the unit that fits its size. */
export function shortSeconds(seconds: number): string {
  const steps = [
    [1, 's'],
    [1e-3, 'ms'],
    [1e-6, 'µs'],
  ] as const;
  for (const [size, unit] of steps) if (seconds >= size * 0.9995) return `${Number((seconds / size).toPrecision(3))} ${unit}`;
  return `${Number((seconds * 1e9).toPrecision(3))} ns`;
}

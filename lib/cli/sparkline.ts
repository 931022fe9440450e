// The last values of a rate as a line of blocks. Pure.

const BLOCKS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** One block for each value, the highest value as a full one; the newest value is the last. */
export function sparkline(values: readonly number[]): string {
  const most = Math.max(...values, Number.MIN_VALUE);
  return values.map((value) => BLOCKS[Math.min(BLOCKS.length - 1, Math.round((value / most) * (BLOCKS.length - 1)))]).join('');
}

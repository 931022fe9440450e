// Durations to observe in trials.

/** 4096 durations in microseconds whose buckets and branches the processor cannot predict: lognormal, around 20 us. */
export function durations(): Uint32Array {
  return Uint32Array.from({ length: 4096 }, (_, i) => {
    const [a, b] = [(i + 0.5) / 4096, ((i * 2531) % 4096) / 4096];
    const normal = Math.sqrt(-2 * Math.log(a)) * Math.cos(2 * Math.PI * b);
    return Math.max(1, Math.round(20 * Math.exp(1.2 * normal)));
  }).map((_, i, all) => all[(i * 1597) % 4096]!);
}

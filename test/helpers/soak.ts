// The length of the random tests: the variables VMM_METRICS_SOAK_..., which CONTRIBUTING.md describes.

/** The number in a variable, or `otherwise` if the variable is not set. */
export const soakNumber = (name: 'SECONDS' | 'CRASHES' | 'KILLS' | 'LIVES' | 'TURNS' | 'SEED', otherwise: number): number =>
  Number(process.env[`VMM_METRICS_SOAK_${name}`] ?? otherwise);

/** The length of the soak in seconds; 0 if this is not a soak. */
export const soakSeconds = soakNumber('SECONDS', 0);

/** The seed, which differs in each run unless it is set. A test that uses the seed prints it. */
export const soakSeed = soakNumber('SEED', Date.now() % 2 ** 31);

// How long and how often the random tests go on: the variables VMM_METRICS_SOAK_..., which CONTRIBUTING.md describes.

/** The number that a variable gives; `otherwise` where it is not set. */
export const soakNumber = (name: 'SECONDS' | 'CRASHES' | 'KILLS' | 'LIVES' | 'TURNS' | 'SEED', otherwise: number): number =>
  Number(process.env[`VMM_METRICS_SOAK_${name}`] ?? otherwise);

/** 0 where this is no soak. */
export const soakSeconds = soakNumber('SECONDS', 0);

/** Another one each time, unless it is given. A test that uses it prints it. */
export const soakSeed = soakNumber('SEED', Date.now() % 2 ** 31);

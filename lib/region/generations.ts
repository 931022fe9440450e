// What earlier lives of a region file have left beside it: `<file>.previous`, which is the newest, `<file>.previous.2`,
// and so on. native/region/region_file.h gives them their names; they belong to the process that has the file.

import { lstatSync, unlinkSync } from 'node:fs';

import { RegionFile } from './file.ts';
import { isSaid, readSettled } from './reader.ts';

/** How many are kept when all of them have something pending. */
export const GENERATIONS_MAX = 16;
/** How many names there are; kGenerationNames in native/region/region_file.h. */
const GENERATION_NAMES = 32;

export interface Generation {
  /** 1 is `.previous`. */
  readonly number: number;
  readonly path: string;
}

/** Those that are there, the newest first. */
export function generationsOf(file: string): Generation[] {
  const all = Array.from({ length: GENERATION_NAMES }, (_, i) => ({
    number: i + 1,
    path: i === 0 ? `${file}.previous` : `${file}.previous.${i + 1}`,
  }));
  return all.filter(({ path }) => isFile(path));
}

/**
 * Removes what need not be kept: behind `.previous` whatever has nothing pending, and then the oldest, until there are
 * as many as may be. Only for the process that has the file.
 * @returns The paths of those that had something pending, or that nobody can read.
 */
export function tidyGenerations(file: string): string[] {
  const kept = generationsOf(file).filter(({ number, path }) => number === 1 || !removeIf(path, isAllSaid));
  const surplus = kept.slice(GENERATIONS_MAX).reverse();
  return surplus.flatMap(({ path }) => (removeIf(path, () => true) ? [path] : []));
}

/** Removes a region, unless somebody has it. False: it is there still. */
function removeIf(path: string, isToGo: (file: RegionFile) => boolean): boolean {
  let file: RegionFile | undefined;
  try {
    file = RegionFile.open(path, 'write');
    if (!file.lock() || !isToGo(file)) return false;
    unlinkSync(path);
    return true;
  } catch {
    return false;
  } finally {
    file?.close();
  }
}

/** Of one that cannot be read nobody knows. */
function isAllSaid(file: RegionFile): boolean {
  return isSaid(readSettled(file));
}

function isFile(path: string): boolean {
  try {
    return lstatSync(path).isFile();
  } catch {
    return false;
  }
}

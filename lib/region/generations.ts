// What earlier lives of a region file have left beside it: `<file>.previous`, the newest, `<file>.previous.2`, and so
// on. native/region/region_file.h names them. They belong to the process that has the file open.

import { lstatSync, unlinkSync } from 'node:fs';

import { RegionFile } from './file.ts';
import { isAllFlushed, readSettled } from './settled.ts';

/** How many files are kept, even if all of them have pending values. */
export const GENERATIONS_MAX = 16;
/** How many names exist; kGenerationNames in native/region/region_file.h. */
const GENERATION_NAMES = 32;

export interface Generation {
  /** 1 is `.previous`. */
  readonly number: number;
  readonly path: string;
}

/** The generations that exist, the newest first. */
export function generationsOf(file: string): Generation[] {
  const all = Array.from({ length: GENERATION_NAMES }, (_, i) => ({
    number: i + 1,
    path: i === 0 ? `${file}.previous` : `${file}.previous.${i + 1}`,
  }));
  return all.filter(({ path }) => isFile(path));
}

/**
 * Removes what need not be kept: all generations after `.previous` that have nothing pending, and then the oldest ones
 * until only GENERATIONS_MAX are left. Only the process that has the file open may call it.
 * @returns The paths of removed files that had pending values or could not be read.
 */
export function tidyGenerations(file: string): string[] {
  const kept = generationsOf(file).filter(({ number, path }) => number === 1 || !removeIf(path, hasNothingPending));
  const surplus = kept.slice(GENERATIONS_MAX).reverse();
  return surplus.flatMap(({ path }) => (removeIf(path, () => true) ? [path] : []));
}

/** Removes a region if `isToGo`, unless another process holds it. Returns whether it was removed. */
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

/** Throws if the file cannot be read, because then nobody knows what it contains. */
function hasNothingPending(file: RegionFile): boolean {
  return isAllFlushed(readSettled(file));
}

function isFile(path: string): boolean {
  try {
    return lstatSync(path).isFile();
  } catch {
    return false;
  }
}

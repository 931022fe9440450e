// The families of several sources together. Pure.

import { type Family, FamilyUnion } from './families.ts';

export interface Union {
  readonly families: readonly Family[];
  /**
   * For each source, the place of each family of the union among its own families, or -1; the same array for sources
   * with the same families. Left out: all sources have the families of the union.
   */
  readonly placeOf?: readonly Int32Array[];
}

/**
 * @throws MetricsError `ERR_METRICS_SCHEMA` if a name has another type or unit in another source. The message names
 * both metrics.
 */
export function unionOf(sources: readonly { readonly families: readonly Family[] }[]): Union {
  const schemas = new Set(sources.map(({ families }) => families));
  if (schemas.size <= 1) return { families: [...schemas][0] ?? [] };
  const union = new FamilyUnion();
  const indices = [...schemas].map((families) => [families, union.indicesOf(families)] as const);
  const places = new Map(indices.map(([families, of]) => [families, inverse(of, union.families.length)]));
  return { families: union.families, placeOf: sources.map(({ families }) => places.get(families)!) };
}

function inverse(indices: Int32Array, length: number): Int32Array {
  const places = new Int32Array(length).fill(-1);
  indices.forEach((index, place) => {
    places[index] = place;
  });
  return places;
}

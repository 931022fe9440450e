// Which format a client wants, by the header `Accept` of HTTP. Pure.

import type { ExpositionFormat } from '../prometheus/exposition.ts';

export interface Format {
  readonly format: ExpositionFormat;
  readonly contentType: string;
}

const OPENMETRICS: Format = { format: 'openmetrics', contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8' };
const TEXT: Format = { format: 'text', contentType: 'text/plain; version=0.0.4; charset=utf-8' };
/** All names are letters, digits and underscores, so this version has the same bytes as 0.0.4. */
const TEXT_1: Format = { format: 'text', contentType: 'text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8' };

/** The formats that there are, the preferred one first, with what a client may call them. */
const OFFERS: readonly { readonly format: Format; readonly type: string; readonly versions: readonly (string | undefined)[] }[] = [
  { format: OPENMETRICS, type: 'application/openmetrics-text', versions: ['1.0.0', undefined] },
  { format: TEXT_1, type: 'text/plain', versions: ['1.0.0'] },
  { format: TEXT, type: 'text/plain', versions: ['0.0.4', undefined] },
  { format: TEXT, type: 'text/*', versions: [undefined] },
  { format: TEXT, type: '*/*', versions: [undefined] },
];

/** The format that the client likes best. A client that likes none of them, or says nothing, gets text. */
export function formatFor(accept: string | undefined): Format {
  let best: { format: Format; quality: number; rank: number } | undefined;
  for (const { type, version, quality } of rangesOf(accept ?? '')) {
    const rank = OFFERS.findIndex((offer) => offer.type === type && offer.versions.includes(version));
    if (rank < 0 || quality <= 0) continue;
    if (best === undefined || quality > best.quality || (quality === best.quality && rank < best.rank)) {
      best = { format: OFFERS[rank]!.format, quality, rank };
    }
  }
  return best?.format ?? TEXT;
}

function rangesOf(accept: string): { type: string; version: string | undefined; quality: number }[] {
  return accept.split(',').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    const parameterOf = (name: string) =>
      parameters
        .find((parameter) => parameter.toLowerCase().startsWith(`${name}=`))
        ?.slice(name.length + 1)
        .replaceAll('"', '');
    const quality = Number(parameterOf('q') ?? 1);
    return { type: type.toLowerCase(), version: parameterOf('version'), quality: Number.isFinite(quality) ? quality : 0 };
  });
}

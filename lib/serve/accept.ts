// Which format a client wants, by the header `Accept` of HTTP (RFC 9110, section 12.5.1). Pure.

import { contentType, type ExpositionFormat } from '../prometheus/exposition.ts';

export interface Format {
  readonly format: ExpositionFormat;
  readonly contentType: string;
}

const OPENMETRICS: Format = { format: 'openmetrics', contentType: contentType('openmetrics') };
const PROTOBUF: Format = { format: 'protobuf', contentType: contentType('protobuf') };
const TEXT: Format = { format: 'text', contentType: contentType('text') };
/** All names are letters, digits and underscores, so this version has the same bytes as 0.0.4. */
const TEXT_1: Format = { format: 'text', contentType: 'text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8' };

interface Offer {
  readonly format: Format;
  /** What a client may call the format: the most exact name first. */
  readonly names: readonly { readonly type: string; readonly parameters: Readonly<Record<string, readonly (string | undefined)[]>> }[];
}

const FAMILY = 'io.prometheus.client.MetricFamily';
/** `*` and `text/*` mean the text that every version of Prometheus reads. */
const ANYTHING = ['text/*', '*/*'].map((type) => ({ type, parameters: {} }));

/** The formats that there are. If a client likes several of them equally well, the first one is taken. */
const OFFERS: readonly Offer[] = [
  {
    format: PROTOBUF,
    names: [{ type: 'application/vnd.google.protobuf', parameters: { proto: [FAMILY], encoding: ['delimited'] } }],
  },
  { format: OPENMETRICS, names: [{ type: 'application/openmetrics-text', parameters: { version: ['1.0.0', undefined] } }] },
  { format: TEXT_1, names: [{ type: 'text/plain', parameters: { version: ['1.0.0'] } }] },
  { format: TEXT, names: [{ type: 'text/plain', parameters: { version: ['0.0.4', undefined] } }, ...ANYTHING] },
];

/** The format that the client likes best. A client that likes none of them, or says nothing, gets text. */
export function formatFor(accept: string | undefined): Format {
  const ranges = rangesOf(accept ?? '');
  let best: { format: Format; quality: number } | undefined;
  for (const { format, names } of OFFERS) {
    // A client may refuse a format, and accept everything else: its most exact name decides.
    const range = names.flatMap((name) => ranges.filter((one) => fits(one, name)))[0];
    if (range !== undefined && range.quality > (best?.quality ?? 0)) best = { format, quality: range.quality };
  }
  return best?.format ?? TEXT;
}

interface Range {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly quality: number;
}

function fits({ type, parameters }: Range, name: Offer['names'][number]): boolean {
  return type === name.type && Object.entries(name.parameters).every(([key, values]) => values.includes(parameters.get(key)));
}

function rangesOf(accept: string): Range[] {
  return accept.split(',').map((range) => {
    const [type = '', ...rest] = range.split(';').map((part) => part.trim());
    const parameters = new Map(
      rest.map((parameter) => {
        const [name = '', value = ''] = parameter.split('=', 2).map((part) => part.trim());
        return [name.toLowerCase(), value.replaceAll('"', '')];
      }),
    );
    const quality = Number(parameters.get('q') ?? 1);
    return { type: type.toLowerCase(), parameters, quality: Number.isFinite(quality) ? quality : 0 };
  });
}

// The C++ header of a schema: a typed constant for each metric, and a struct for each group of devices. Pure.

import { type BucketIndex, bucketIndexOf } from '../histogram/bucket-index.ts';
import type { Scheme } from '../histogram/scheme.ts';
import type { DeviceGroupLayout, GroupLayout, Layout, MetricLayout } from '../layout.ts';
import type { MetricDef } from '../schema.ts';
import { cppNames } from './names.ts';

export interface HeaderOptions {
  readonly namespace: string;
  /** What the first lines name as the origin of the header. */
  readonly source: string;
  /** The fingerprint of the layout. */
  readonly fingerprint: bigint;
}

/** The classes of include/vmm_metrics.hpp. */
const CLASS_OF: Record<MetricDef['kind'], string> = {
  inc: '::vmm_metrics::IncMetric',
  store: '::vmm_metrics::StoreMetric',
  latency: '::vmm_metrics::LatencyMetric',
  histogram: '::vmm_metrics::HistogramMetric',
};

/** A cell below this number has the same offset in each shard on every machine; see vmm_metrics_offset(). */
const NEAR_CELLS = 512;
const CELL_BYTES = 8;
const WIDTH = 120;

/** The names that the header itself puts beside the groups. */
const OWN_NAMES = ['attach', 'buckets', 'facts', 'fingerprint'];

/** The text of the header. Equal arguments give equal text. */
export function headerOf(layout: Layout, { namespace, source, fingerprint }: HeaderOptions): string {
  const groups = layout.entries.filter((entry) => entry.kind !== 'utcTimestampMs');
  const names = cppNames(
    groups.map(({ key }) => key),
    OWN_NAMES,
  );
  const tables = new Tables();
  const metrics = groups.map((group) =>
    group.kind === 'group' ? constants(group, names.get(group.key)!, tables) : devices(group, names.get(group.key)!, tables),
  );
  const parts = [
    opening(namespace, source),
    `namespace ${namespace} {`,
    `// Identifies the schema.\ninline constexpr ::std::uint64_t fingerprint = 0x${fingerprint.toString(16).padStart(16, '0')};`,
    ...tables.texts,
    ...metrics,
    factsOf(layout),
    ATTACH,
    `}  // namespace ${namespace}`,
  ];
  return `${parts.join('\n\n')}\n`;
}

function opening(namespace: string, source: string): string {
  const comment = comments(
    `The metrics of ${source} for native code, as typed constants with fixed offsets. \`vmm-metrics codegen\` wrote this file: do not edit it.`,
    '',
  );
  return `// clang-format off
${comment}
//
//     vmm_metrics_store store;
//     std::string problem = ${namespace}::attach(env, external, &store);  // "", or why not
//     vmm_metrics::Shard shard(store);                     // on each thread that counts
//
// Thread-safety, async-signal-safety, memory ordering, units and lifetime: see vmm_metrics.hpp.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "vmm_metrics.h"`;
}

function constants({ metrics }: GroupLayout, namespace: string, tables: Tables): string {
  const names = cppNames(metrics.map(({ name }) => name));
  const lines = metrics.map((metric) => `${docOf(metric, '')}${constant(metric, names.get(metric.name)!, tables)}`);
  return `namespace ${namespace} {\n${lines.join('\n')}\n}  // namespace ${namespace}`;
}

function constant({ def, cell, scheme }: MetricLayout, name: string, tables: Tables): string {
  if (scheme !== undefined) {
    const buckets = tables.nameOf(scheme);
    return cell < NEAR_CELLS
      ? `inline constexpr ${CLASS_OF.histogram} ${name}{::vmm_metrics_metric{${cell * CELL_BYTES}}, &${buckets}};`
      : `inline constexpr ::vmm_metrics::FarHistogram ${name}{${cell}, &${buckets}};`;
  }
  const type = CLASS_OF[def.kind];
  return cell < NEAR_CELLS
    ? `inline constexpr ${type} ${name}{::vmm_metrics_metric{${cell * CELL_BYTES}}};`
    : `inline constexpr ::vmm_metrics::Far<${type}> ${name}{${cell}};`;
}

function devices({ key, metrics }: DeviceGroupLayout, namespace: string, tables: Tables): string {
  // A member must not have the name of its class.
  const names = cppNames(
    metrics.map(({ name }) => name),
    ['Device'],
  );
  const members = metrics.map(
    (metric) =>
      `${docOf(metric, '  ')}  ${CLASS_OF[metric.scheme === undefined ? metric.def.kind : 'histogram']} ${names.get(metric.name)};`,
  );
  const found = metrics.map(({ name, cell, scheme }) => {
    const buckets = scheme === undefined ? '' : `, &${tables.nameOf(scheme)}`;
    return `  cells.find(${cell}, &device.${names.get(name)}${buckets});`;
  });
  return `namespace ${namespace} {
// A device of the group '${key}'. A device that alloc() has not made counts nowhere.
struct Device : ::vmm_metrics::Device {
${members.join('\n')}
};

// Finds the device \`id\`, or makes it. If that fails, \`*problem\` says why, and the device counts in the aggregate.
inline Device alloc(const ::vmm_metrics_store& store, ::std::string_view id, ::std::string* problem = nullptr) {
  Device device;
  const ::vmm_metrics::DeviceCells cells(store, "${key}", id, &device, problem);
${found.join('\n')}
  return device;
}

// Releases what alloc() returned: no thread counts on it any more. False if it was released already.
inline bool release(const ::vmm_metrics_store& store, const Device& device) {
  return ::vmm_metrics::release(store, device);
}

// Takes the device \`id\` out of the line. False if there is no such device.
inline bool remove(const ::vmm_metrics_store& store, ::std::string_view id) {
  return ::vmm_metrics::remove(store, "${key}", id);
}
}  // namespace ${namespace}`;
}

/** The tables of the buckets, each once. The facts make sure that the store has the same ones. */
class Tables {
  readonly texts: string[] = [];
  readonly #numbers = new Map<BucketIndex, number>();

  /** The name of the constant with the buckets of a scheme. */
  nameOf(scheme: Scheme): string {
    const index = bucketIndexOf(scheme);
    let number = this.#numbers.get(index);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(index, number);
      const { table, limit, perUnit, mantissaBits } = index;
      this.texts.push(`// Finds the ${scheme.buckets} buckets of a histogram in ${scheme.unit}, of scale ${scheme.scale}.
namespace buckets {
inline constexpr ::std::uint64_t table_${number}[] = {
${rowsOf([...table].map((entry) => `${entry}u`))}
};
inline constexpr ::vmm_metrics_buckets of_${number} = {table_${number}, ${limit}u, ${perUnit}u, ${scheme.buckets}u, ${mantissaBits}u, ${scheme.first}};
}  // namespace buckets`);
    }
    return `buckets::of_${number}`;
  }
}

/** Many numbers, six in a row. */
function rowsOf(items: readonly string[]): string {
  const rows: string[] = [];
  for (let i = 0; i < items.length; i += 6) rows.push(`    ${items.slice(i, i + 6).join(', ')},`);
  return rows.join('\n');
}

function factsOf({ entries, facts }: Layout): string {
  const cells = new Map(
    entries.flatMap((entry) => ('metrics' in entry ? entry.metrics.map(({ path, cell }) => [path, cell] as const) : [])),
  );
  const lines = facts.map(
    ([path, fact]) => `    {${JSON.stringify(path)}, ${JSON.stringify(fact)}, ${cells.get(path) ?? 'VMM_METRICS_NO_CELL'}},`,
  );
  return `// What attach() compares with the schema of the store.
inline constexpr ::vmm_metrics_fact facts[] = {
${lines.join('\n')}
};`;
}

const ATTACH = `#ifndef VMM_METRICS_WITHOUT_NODE_API
// Attaches to the store of \`external\`, which is \`metrics.native\`, on the JS thread of \`env\`. Returns "", or a
// sentence that says why not: the first difference between the schemas, if they differ. With VMM_METRICS_BEGINNING, the
// schema of the store may have more behind the metrics of this header. Detach with vmm_metrics_detach().
inline ::std::string attach(napi_env env, napi_value external, ::vmm_metrics_store* store,
                            ::vmm_metrics_match match = VMM_METRICS_WHOLE) {
  return ::vmm_metrics::attach(env, external, facts, sizeof(facts) / sizeof(facts[0]), match, store);
}
#endif`;

function docOf({ def }: MetricLayout, indent: string): string {
  const doc = comments(def.doc, indent);
  return doc === '' ? '' : `${doc}\n`;
}

/**
 * The text as lines of a comment. Any text: a line must not end in a backslash, which would continue the comment, and
 * "??/" was once a backslash, so compilers warn of it.
 */
function comments(text: string, indent: string): string {
  const lines: string[] = [];
  for (const word of text
    .replaceAll('??', '? ?')
    .split(/[\s\p{Cc}]+/u)
    .filter((part) => part !== '')) {
    const last = lines.at(-1);
    if (last !== undefined && indent.length + last.length + 1 + word.length <= WIDTH) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`// ${word}`);
  }
  return lines.map((line) => `${indent}${line}${line.endsWith('\\') ? ' .' : ''}`).join('\n');
}

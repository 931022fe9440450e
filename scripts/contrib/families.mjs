// The families that Prometheus sees of Firecracker's schema, by group: read from the expositions of schemas with one
// group each, so that no name is made up here.

import { firecrackerSchema } from '../../dist/lib/firecracker.js';
import { defineSchema, Metrics } from '../../dist/lib/index.js';
import { exposition } from '../../dist/lib/prometheus.js';

/** `{ key, def, families: [{ name, type, isAggregate }] }` for each group. */
export function groupsOfFirecracker() {
  const { shape } = firecrackerSchema({ version: '1.16', arch: 'x86_64' });
  return Object.entries(shape).flatMap(([key, def]) => {
    if (def.kind === 'utcTimestampMs') return [];
    const metrics = Metrics.open(defineSchema({ [key]: def }), { name: `contrib ${key}` });
    if (def.kind === 'perDevice') metrics.app[key].alloc('device');
    const text = exposition(metrics);
    metrics.close();
    return [{ key, def, families: familiesIn(text, key) }];
  });
}

function familiesIn(text, key) {
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => ({
    name,
    type,
    isAggregate: name.startsWith(`vmm_${key}_all_`),
  }));
}

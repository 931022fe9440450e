// A process that makes OpenTelemetry requests of all virtual machines: otlp-requests.js PATTERN VMS. It sends the
// processor time of the first request, and then the median of those that follow, in milliseconds. The files are read
// before.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import type { Fleet, OtlpRequests } from '../../lib/serve/agent.ts';
import { median } from '../statistics.ts';
import { measuredTree } from '../tree.ts';

/** As many virtual machines as a request of the agent has. */
const VMS_IN_A_REQUEST = 25;
const WARM = 20;
const MEASURED = 21;

const [pattern, count] = process.argv.slice(2);
interface Serving {
  readonly Fleet: typeof Fleet;
  readonly OtlpRequests?: typeof OtlpRequests;
}
const file = join(measuredTree().folder, 'dist/lib/serve/agent.js');
const { Fleet: Reader, OtlpRequests: Requests } = (await import(pathToFileURL(file).href)) as Serving;

function measured() {
  if (Requests === undefined) return { absent: 'its OpenTelemetry requests cannot be measured' };
  const report = (text: string) => {
    throw new Error(text);
  };
  const limits = { keepMs: 1e9, forgetMs: 1e9, seriesMax: 100_000 };
  const fleet = new Reader({ patterns: [pattern!], nameFrom: 'path', owners: 'own', report, now: () => Date.now(), ...limits });
  const requests = new Requests({ hostName: 'host', version: '1' });
  const all = () => {
    fleet.refresh();
    if (fleet.shown.length !== Number(count)) throw new Error(`there are ${fleet.shown.length} virtual machines`);
    const began = process.cpuUsage();
    for (let i = 0; i < fleet.shown.length; i += VMS_IN_A_REQUEST) requests.of(fleet.shown.slice(i, i + VMS_IN_A_REQUEST), Date.now());
    const { user, system } = process.cpuUsage(began);
    return (user + system) / 1000;
  };
  const first = all();
  for (let i = 0; i < WARM; i++) all();
  return { first, later: median(Array.from({ length: MEASURED }, all)) };
}

process.on('disconnect', () => process.exit());
process.send!(measured());

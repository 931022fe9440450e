// Makes the files of contrib/ that name metrics, from the schema of Firecracker: contrib.mjs [--check]
//
// With --check, writes nothing, and fails if a file is out of date. Needs a compiled tree.

import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { hostDashboard, vmDashboard } from './contrib/dashboards.mjs';
import { groupsOfFirecracker } from './contrib/families.mjs';
import { rulesText } from './contrib/rules.mjs';

const root = resolve(import.meta.dirname, '..');
const groups = groupsOfFirecracker();
const [recording, alerts] = rulesText(groups);
const json = (value) => `${JSON.stringify(value, undefined, 2)}\n`;
const FILES = {
  'contrib/grafana/host.json': json(hostDashboard()),
  'contrib/grafana/vm.json': json(vmDashboard(groups)),
  'contrib/prometheus/recording.rules.yml': recording,
  'contrib/prometheus/alerts.rules.yml': alerts,
};

const isCheck = process.argv.includes('--check');
for (const [file, text] of Object.entries(FILES)) {
  const path = resolve(root, file);
  if (!isCheck) writeFileSync(path, text);
  else if (readIfThere(path) !== text) {
    console.error(`${file} is out of date: run node scripts/contrib.mjs`);
    process.exitCode = 1;
  }
}

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

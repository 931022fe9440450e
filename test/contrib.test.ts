// The files of contrib/: they are current, they name only metrics that exist, and the programs that read them accept
// them.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Metrics } from 'vmm-metrics';
import { firecrackerSchema } from 'vmm-metrics/firecracker';
import { exposition } from 'vmm-metrics/prometheus';

import { withoutPromtool } from './helpers/prometheus-tools.ts';
import { closing, freshName } from './helpers/workplace.ts';

const root = resolve(import.meta.dirname, '..');
const folder = join(root, 'contrib');
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => /\.(json|yml|service)$/.test(file));
const because = (missing: string | undefined) => (missing === undefined ? '' : ` (skipped: ${missing})`);

function run(command: string, args: readonly string[], cwd = root): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
}

test('given the schema of Firecracker, when the rules and dashboards are made from it again, then the files are current', () => {
  expect(run(process.execPath, ['scripts/contrib.mjs', '--check'])).toEqual({ status: 0, output: '' });
});

test('given the files, when they name a metric, then an exposition or the agent has that metric', () => {
  const metrics = closing(Metrics.open(firecrackerSchema({ version: '1.16', arch: 'x86_64' }), { name: freshName() }));
  for (const group of ['block', 'net', 'pmem'] as const) metrics.app[group].alloc('a');
  metrics.app.vhost_user.alloc('a');
  const samples = new Set([...exposition(metrics).matchAll(/^(\w+)[{ ]/gm)].map(([, name]) => name));
  const ofAgent = new Set(readFileSync(join(root, 'docs/serve.md'), 'utf8').match(/\bvmm_\w+/g));
  const unknown = files.flatMap((file) => {
    const text = readFileSync(join(folder, file), 'utf8');
    // Legends of a dashboard have the names without their group.
    const asked = file.endsWith('.json') ? (text.match(/"(?:expr|query)": "[^\n]*/g) ?? []).join('\n') : text;
    const names = asked.match(/(?<![\w.-])vmm_[a-z]\w+/g) ?? [];
    return [...new Set(names)].filter((name) => !samples.has(name) && !ofAgent.has(name)).map((name) => `${file}: ${name}`);
  });
  // A pattern, and a label of service discovery.
  expect(unknown).toEqual(['prometheus/prometheus.yml: vmm_net_']);
  expect(samples.size).toBeGreaterThan(250);
});

test('given the dashboards, when their panels are listed, then no two overlap, and each asks for something', () => {
  for (const file of ['host.json', 'vm.json']) {
    const { panels } = JSON.parse(readFileSync(join(folder, 'grafana', file), 'utf8')) as {
      panels: { type: string; title: string; targets?: { expr: string }[]; gridPos: Record<'x' | 'y' | 'w' | 'h', number> }[];
    };
    const taken = new Set<string>();
    for (const {
      type,
      title,
      targets,
      gridPos: { x, y, w, h },
    } of panels) {
      if (type !== 'row') expect(targets!.every(({ expr }) => expr !== '') && targets!.length > 0, title).toBe(true);
      for (let i = x; i < x + w; i++) {
        for (let j = y; j < y + h; j++) {
          expect(i < 24 && !taken.has(`${i} ${j}`), title).toBe(true);
          taken.add(`${i} ${j}`);
        }
      }
    }
    expect(panels.length).toBeGreaterThan(15);
  }
});

describe('given promtool', () => {
  const yml = files.filter((file) => file.endsWith('.yml'));

  test.skipIf(withoutPromtool)(
    `when it checks the rules and configurations, then nothing is wrong with them${because(withoutPromtool)}`,
    () => {
      const promtool = (file: string, ...args: string[]) => run('promtool', args, dirname(join(folder, file)));
      for (const file of yml) {
        const name = file.split('/')[1]!;
        const args = name.endsWith('.test.yml')
          ? ['test', 'rules', name]
          : name.endsWith('.rules.yml')
            ? ['check', 'rules', name]
            : ['check', 'config', '--syntax-only', ...(name.startsWith('agent') ? ['--agent'] : []), name];
        const { status, output } = promtool(file, ...args);
        expect(status, output).toBe(0);
      }
      expect(yml).toHaveLength(5);
    },
  );
});

const withoutSystemd =
  spawnSync('systemd-analyze', ['--version']).status === 0 ? undefined : 'systemd-analyze is missing (Debian package systemd)';

test.skipIf(withoutSystemd)(
  `given the units, when systemd-analyze verifies them, then it knows each setting${because(withoutSystemd)}`,
  () => {
    const units = files.filter((file) => file.endsWith('.service'));
    expect(units).toHaveLength(2);
    for (const unit of units) {
      const { output } = run('systemd-analyze', ['verify', join(folder, unit)]);
      // It also looks for the programs, which are not installed here.
      expect(output.split('\n').filter((line) => line !== '' && !/is not executable|No such file/.test(line))).toEqual([]);
    }
  },
);

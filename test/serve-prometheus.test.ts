// A real Prometheus server scrapes the agent, and queries return the values of the cells.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { defineSchema, group, histogram, inc, latency, Metrics, perDevice } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { runAgent } from './helpers/agent.ts';
import { parsedStrictly, promtoolCheck, withoutParser, withoutPromtool } from './helpers/prometheus-tools.ts';
import { type Answer, runPrometheus, runVictoriaMetrics, withoutPrometheus, withoutVictoriaMetrics } from './helpers/scraping-server.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';

/** The name of a virtual machine with everything that labels have to escape. */
const ODD = 'o"d\\d é';

/** Two virtual machines of this process, in a folder. */
function vms() {
  const folder = temporaryFolder();
  const open = (name: string, options: object) => {
    mkdirSync(join(folder, name));
    return closing(Metrics.open(firecracker, { name: freshName(), file: join(folder, name, 'metrics.region'), ...options }));
  };
  const plain = open('vm0', { id: 'i-0', properties: { zone: 'b' } });
  const odd = open(ODD, {});
  plain.app.vcpu.exit_io_in.add(2n ** 53n);
  plain.app.vcpu.exit_io_in_agg.observe(41);
  plain.app.pmem.alloc('d"r\\v\n0é').activate_fails.add(7);
  odd.app.vcpu.exit_io_in.add(3);
  return { pattern: join(folder, '*/metrics.region'), plain, odd };
}

function because(missing: string | undefined): string {
  return missing === undefined ? '' : ` (skipped: ${missing})`;
}

test.skipIf(withoutPrometheus)(
  `given a Prometheus server, when it discovers and scrapes the agent, then queries return the cells${because(withoutPrometheus)}`,
  async () => {
    const { pattern, plain, odd } = vms();
    const agent = await runAgent([pattern]);
    const { host } = new URL(agent.url);
    const prometheus = await runPrometheus(
      `  - job_name: vms
    http_sd_configs:
      - url: ${agent.url}/sd
        refresh_interval: 1s
    relabel_configs:
      - source_labels: [__meta_vmm_property_zone]
        target_label: zone
  - job_name: fleet
    static_configs:
      - targets: ['${host}']
`,
    );
    const countOf = (values: readonly Answer[], vm: string) => values.find(({ labels }) => labels['vm'] === vm)?.value;
    for (const job of ['vms', 'fleet']) {
      const counters = await prometheus.until(`vmm_vcpu_exit_io_in_total{job="${job}"}`, 2);
      expect(countOf(counters, 'vm0')).toBe(`${plain.app.vcpu.exit_io_in.count()}`);
      expect(countOf(counters, ODD)).toBe('3');
      const [device] = await prometheus.until(`vmm_pmem_activate_fails_total{job="${job}"}`, 1);
      expect([device!.labels['device'], device!.value]).toEqual(['d"r\\v\n0é', '7']);
      expect((await prometheus.until(`vmm_vcpu_exit_io_in_agg_seconds_sum{job="${job}",vm="vm0"}`, 1))[0]!.value).toBe('0.000041');
      expect((await prometheus.until(`vmm_state{job="${job}"} == 1`, 2)).map(({ labels }) => labels['state'])).toEqual([
        'running',
        'running',
      ]);
    }
    expect((await prometheus.until('up{job="vms"} == 1', 2)).map(({ labels }) => labels['instance']).sort()).toEqual(
      [`${host}/vm/${ODD}`, `${host}/vm/vm0`].sort(),
    );
    expect((await prometheus.until('vmm_up{job="vms",zone="b"}', 1))[0]!.labels['vm']).toBe('vm0');
    odd.app.vcpu.exit_io_in.add(1);
    await prometheus.until(`vmm_vcpu_exit_io_in_total{job="vms"} == 4`, 1);
    odd.close();
    await prometheus.until('vmm_state{job="fleet",state="closed"} == 1', 1);
    expect(prometheus.log()).not.toMatch(/level=(?:warn|error)/);
  },
);

test.skipIf(withoutPrometheus)(
  `given a Prometheus server that wants native histograms, when it scrapes the agent, then it has every bucket${because(withoutPrometheus)}`,
  async () => {
    const folder = temporaryFolder();
    const schema = defineSchema({
      vcpu: group({ exits: inc('exits'), time: latency('times', { histogram: true }), plain: latency('without buckets') }),
      disk: perDevice({ size_bytes: histogram('sizes', { unit: 'bytes' }) }),
    });
    const { app } = closing(Metrics.open(schema, { name: freshName(), file: join(folder, 'vm0.region') }));
    app.vcpu.exits.add(17);
    app.vcpu.plain.observe(41);
    for (const us of [0.05, 1, 1, 3, 41, 1_500_000]) app.vcpu.time.observe(us);
    for (const bytes of [0, 512, 4096, 4097, 1_000_000]) app.disk.alloc('a').size_bytes.observe(bytes);
    app.disk.alloc('b').size_bytes.observe(512);
    const agent = await runAgent([folder]);
    const prometheus = await runPrometheus(`  - job_name: fleet\n    static_configs:\n      - targets: ['${new URL(agent.url).host}']\n`, [
      '--enable-feature=native-histograms',
    ]);
    for (const { name, labels, value, perUnit } of [
      { name: 'vmm_vcpu_time_seconds', labels: '', value: app.vcpu.time.read(), perUnit: 1e6 },
      { name: 'vmm_disk_size_bytes', labels: '{device="a"}', value: app.disk.alloc('a').size_bytes.read(), perUnit: 1 },
      { name: 'vmm_disk_size_bytes', labels: '{device="b"}', value: app.disk.alloc('b').size_bytes.read(), perUnit: 1 },
    ]) {
      const [found] = await prometheus.until(`${name}${labels}`, 1);
      const { count, sum, buckets } = found!.histogram!;
      expect([count, Number(sum)]).toEqual([`${value.count}`, Number(value.sum) / perUnit]);
      const theirs = buckets.map(([, above, upTo, own]) => ({ above: Number(above), upTo: Number(upTo), count: BigInt(own) }));
      // The server's zero bucket reaches to both sides of 0.
      const ours = value.buckets().map(({ above, ...rest }) => ({ above: above === 0 ? -value.zeroThreshold : above, ...rest }));
      expect(theirs.map((one) => one.count)).toEqual(ours.map((one) => one.count));
      theirs.forEach((one, i) => {
        expect(one.above / ours[i]!.above).toBeCloseTo(1, 12);
        expect(one.upTo / ours[i]!.upTo).toBeCloseTo(1, 12);
      });
    }
    const [all] = await prometheus.until('vmm_disk_all_size_bytes', 1);
    expect(all!.histogram!.count).toBe('6');
    // What is no histogram is the same as in the text.
    expect((await prometheus.until('vmm_vcpu_exits_total', 1))[0]!.value).toBe('17');
    expect((await prometheus.until('vmm_vcpu_plain_seconds_sum', 1))[0]!.value).toBe('0.000041');
    expect((await prometheus.until('vmm_vcpu_plain_seconds_count', 1))[0]!.value).toBe('1');
    expect((await prometheus.until('vmm_state == 1', 1))[0]!.labels).toMatchObject({ vm: 'vm0', state: 'running' });
    expect((await prometheus.until('vmm_agent_scrapes_total', 1))[0]!.value).toMatch(/^\d+$/);
    expect(await prometheus.query('vmm_vcpu_time_seconds_bucket')).toEqual([]);
    expect(prometheus.log()).not.toMatch(/level=(?:warn|error)/);
  },
);

test.skipIf(withoutVictoriaMetrics)(
  `given a VictoriaMetrics server, when it scrapes the agent, then queries return the cells${because(withoutVictoriaMetrics)}`,
  async () => {
    const { pattern, plain, odd } = vms();
    const agent = await runAgent([pattern]);
    const victoria = await runVictoriaMetrics(
      `  - job_name: fleet\n    static_configs:\n      - targets: ['${new URL(agent.url).host}']\n`,
    );
    const counters = await victoria.until('vmm_vcpu_exit_io_in_total', 2);
    const found = Object.fromEntries(counters.map(({ labels, value }) => [labels['vm'], value]));
    expect(found).toEqual({ vm0: `${plain.app.vcpu.exit_io_in.count()}`, [ODD]: '3' });
    const [device] = await victoria.until('vmm_pmem_activate_fails_total', 1);
    expect([device!.labels['device'], device!.value]).toEqual(['d"r\\v\n0é', '7']);
    expect((await victoria.until('vmm_vcpu_exit_io_in_agg_seconds_sum{vm="vm0"}', 1))[0]!.value).toBe('0.000041');
    expect((await victoria.until('vmm_state == 1', 2)).map(({ labels }) => labels['state'])).toEqual(['running', 'running']);
    odd.close();
    await victoria.until('vmm_state{state="closed"} == 1', 1);
  },
);

test.skipIf(withoutVictoriaMetrics)(
  `given a VictoriaMetrics server, when the agent sends OTLP, then queries return the cells, or the agent reports the refusal${because(withoutVictoriaMetrics)}`,
  async () => {
    const { pattern, plain } = vms();
    const victoria = await runVictoriaMetrics('  []\n');
    const path = '/opentelemetry/v1/metrics';
    const status = async () => (await fetch(`${victoria.url}${path}`, { method: 'POST' }).catch(() => undefined))?.status;
    let first = await status();
    while (first === undefined) first = await status();
    const agent = await runAgent([pattern], ['--otlp', `${victoria.url}${path}`, '--otlp-interval', '1s']);
    if (first === 400 && victoria.log().includes('unsupported path requested')) {
      // Version 1.79 of Debian 12 takes no OTLP.
      while (!agent.report().includes('does not take metrics: it answered 400')) await new Promise((resolve) => setTimeout(resolve, 50));
      expect((await agent.series()).get('vmm_up{vm="vm0"}')).toBe('1');
      return;
    }
    // Names have dots or underscores, as the server is set up.
    const counters = await victoria.until('{__name__=~"vmm[._]vcpu[._]exit_io_in(_total)?"}', 2);
    const own = counters.find(({ labels }) => (labels['service.instance.id'] ?? labels['service_instance_id']) === 'vm0');
    expect(own!.value).toBe(`${plain.app.vcpu.exit_io_in.count()}`);
  },
);

test.skipIf(withoutPromtool)(
  `given the whole fleet, when promtool checks the text, then it can be read${because(withoutPromtool)}`,
  async () => {
    const agent = await runAgent([vms().pattern]);
    for (const path of ['/metrics', '/metrics?detail=vm', '/vm/vm0/metrics']) {
      const { code, remarks } = promtoolCheck((await agent.get(path)).text);
      expect(code, remarks.join('\n')).not.toBe(1);
      expect(remarks.filter((remark) => /vmm_(?:agent|up|state|info|crash|start|degraded)/.test(remark))).toEqual([]);
    }
  },
);

test.skipIf(withoutParser)(
  `given the whole fleet, when the strict parser reads OpenMetrics, then it finds the cells${because(withoutParser)}`,
  async () => {
    const agent = await runAgent([vms().pattern]);
    for (const path of ['/metrics', '/vm/vm0/metrics']) {
      const { text } = await agent.get(path, { accept: 'application/openmetrics-text' });
      const samples = parsedStrictly(text).flatMap((family) => family.samples);
      const found = samples.find(({ name, labels }) => name === 'vmm_vcpu_exit_io_in_total' && labels['vm'] === 'vm0');
      expect(Number(found?.value)).toBe(2 ** 53);
      expect(samples.some(({ name }) => name === 'vmm_info')).toBe(true);
    }
  },
);

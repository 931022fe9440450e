// Which virtual machines the agent of a host shows, under which names, and for how long.

import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { group, inc, perDevice, type SchemaShape, store } from 'vmm-metrics';

import { Fleet, type FleetOptions } from '../lib/serve/fleet.ts';
import { type ScrapeQuery, Scrapes } from '../lib/serve/scrapes.ts';
import { descriptorsOf } from './helpers/descriptors.ts';
import { holdLock } from './helpers/lock-holder.ts';
import { Model, NOTHING } from './helpers/model.ts';
import { type RegionOptions, writeRegion } from './helpers/region-writer.ts';
import { seriesOf } from './helpers/series.ts';
import { temporaryFolder } from './helpers/workplace.ts';

const EVERYTHING: ScrapeQuery = { format: 'text', detail: 'device', names: new Set() };
const MINUTE = 60_000;
const shape: SchemaShape = { g: group({ n: inc('n') }), disk: perDevice({ ops: inc('ops') }) };
/** Milliseconds since 1970 at which the first process started. */
const START = 1_700_000_000_000;

interface Vm extends RegionOptions {
  readonly shape?: SchemaShape;
  readonly id?: string;
  readonly properties?: Readonly<Record<string, string>>;
  readonly n?: bigint;
  readonly devices?: readonly string[];
  /** Seconds after START. */
  readonly startedS?: number;
}

/** Writes a region file; without a state, that of a process that was killed. */
function write(path: string, { shape: own = shape, id, properties, n = 1n, devices = [], startedS = 0, ...options }: Vm = {}): string {
  mkdirSync(dirname(path), { recursive: true });
  const model = new Model(own, { ...(id !== undefined && { id }), ...(properties !== undefined && { properties }) });
  if (own === shape) model.holders[0]!.bump('n', n);
  for (const device of devices) model.alloc('disk', device)!.bump('ops', 2n);
  writeRegion(path, model, NOTHING, { startedNs: BigInt(START + 1000 * startedS) * 1_000_000n, ...options });
  return path;
}

function fleetOf(patterns: readonly string[], more: Partial<FleetOptions> = {}) {
  const reports: string[] = [];
  const clock = { nowMs: START + MINUTE };
  const fleet = new Fleet({
    patterns,
    nameFrom: 'path',
    keepMs: 15 * MINUTE,
    forgetMs: 24 * 60 * MINUTE,
    seriesMax: 1000,
    owners: 'own',
    report: (text) => reports.push(text),
    now: () => clock.nowMs,
    ...more,
  });
  onTestFinished(() => fleet.close());
  const scrapes = new Scrapes(fleet);
  const series = (query: Partial<ScrapeQuery> = {}) => {
    fleet.refresh();
    return seriesOf(Buffer.concat([...scrapes.ofFleet({ ...EVERYTHING, ...query }, 0).read().chunks]).toString());
  };
  const files = () => Object.fromEntries(Object.entries(fleet.counts).filter(([, count]) => count > 0));
  return { fleet, scrapes, series, reports, clock, files };
}

/** The states of a virtual machine that are 1. */
const statesOf = (series: ReadonlyMap<string, string>, vm: string) =>
  [...series]
    .filter(([name, value]) => name.startsWith(`vmm_state{vm="${vm}",`) && value === '1')
    .map(([name]) => /state="(\w+)"/.exec(name)![1]);

describe('given region files of processes that ended in different ways', () => {
  const ends = [
    { state: 1, name: 'killed' },
    { state: 2, name: 'closed' },
    { state: 3, name: 'crashed' },
    { state: 4, name: 'exited' },
    { state: 5, name: 'panicked' },
  ];
  test('when the fleet is scraped, then each has its state, with zeros for the others, and its values', () => {
    const folder = temporaryFolder();
    for (const { state, name } of ends) {
      const crash =
        name === 'crashed' ? { signal: 11, code: 1, address: 0xdeadn, threadId: 7, ns: BigInt(START + 3500) * 1_000_000n } : undefined;
      write(join(folder, `${name}/metrics.region`), { state, n: 7n, devices: ['a'], ...(crash && { crash }) });
    }
    const { series, files } = fleetOf([join(folder, '*/metrics.region')]);
    const all = series();
    for (const { name } of ends) {
      expect(statesOf(all, name)).toEqual([name]);
      expect([...all.keys()].filter((key) => key.startsWith(`vmm_state{vm="${name}"`)).length).toBe(6);
      expect(all.get(`vmm_up{vm="${name}"}`)).toBe('0');
      expect(all.get(`vmm_g_n_total{vm="${name}"}`)).toBe('7');
      expect(all.get(`vmm_disk_ops_total{vm="${name}",device="a"}`)).toBe('2');
      expect(all.get(`vmm_start_time_seconds{vm="${name}"}`)).toBe('1700000000');
      expect(all.get(`vmm_degraded{vm="${name}"}`)).toBe('0');
    }
    expect(all.get('vmm_crash_info{vm="crashed",signal="SIGSEGV",code="1",address="0xdead",thread_id="7"}')).toBe('1');
    expect(all.get('vmm_crash_time_seconds{vm="crashed"}')).toBe('1700000003.5');
    expect(all.get('vmm_exit_code{vm="exited"}')).toBe('0');
    expect(files()).toEqual({ killed: 1, closed: 1, crashed: 1, exited: 1, panicked: 1 });
    expect(all.get('vmm_agent_files{state="crashed"}')).toBe('1');
    expect(all.get('vmm_agent_files{state="running"}')).toBe('0');
  });

  test('when time passes, then the values go first, and then the state, and the file stays where it is', () => {
    const folder = temporaryFolder();
    const crash = { signal: 11, code: 1, address: 0n, threadId: 7, ns: BigInt(START) * 1_000_000n };
    const crashed = write(join(folder, 'crashed.region'), { state: 3, crash });
    write(join(folder, 'killed.region'));
    const { series, clock, files } = fleetOf([folder]);
    clock.nowMs = START + 14 * MINUTE;
    const values = () => [...series().keys()].filter((key) => key.startsWith('vmm_g_n'));
    expect(values()).toEqual(['vmm_g_n_total{vm="crashed"}', 'vmm_g_n_total{vm="killed"}']);
    // The crash happened at START, and the agent saw the killed process first at minute 14.
    clock.nowMs = START + 16 * MINUTE;
    expect(values()).toEqual(['vmm_g_n_total{vm="killed"}']);
    expect(series().get('vmm_agent_files_without_values{reason="old"}')).toBe('1');
    clock.nowMs = START + 30 * MINUTE;
    expect(values()).toEqual([]);
    expect(statesOf(series(), 'crashed')).toEqual(['crashed']);
    clock.nowMs = START + 24 * 60 * MINUTE + 1;
    expect(statesOf(series(), 'crashed')).toEqual([]);
    expect(statesOf(series(), 'killed')).toEqual(['killed']);
    expect(files()).toEqual({ killed: 1, forgotten: 1 });
    expect(readFileSync(crashed).length).toBeGreaterThan(0);
  });

  test('when the time of a crash lies ahead, then the time counts from the first reading', () => {
    const folder = temporaryFolder();
    const crash = { signal: 11, code: 1, address: 0n, threadId: 7, ns: BigInt(START + 1e9) * 1_000_000n };
    write(join(folder, 'vm.region'), { state: 3, crash });
    const { series, clock } = fleetOf([folder]);
    series();
    clock.nowMs += 16 * MINUTE;
    expect(series().has('vmm_g_n_total{vm="vm"}')).toBe(false);
  });
});

describe('given two files with one name', () => {
  test('when both are there, then the newest process is shown, and the other file is counted', () => {
    const folder = temporaryFolder();
    write(join(folder, 'a/vm.region'), { startedS: 5, n: 5n });
    write(join(folder, 'b/vm.region'), { startedS: 6, n: 6n });
    write(join(folder, 'c/vm.region'), { startedS: 4, n: 4n });
    const { series, files } = fleetOf([join(folder, '*')], { nameFrom: 'name' });
    expect([...series()].filter(([key]) => key.startsWith('vmm_g_n'))).toEqual([['vmm_g_n_total{vm="vm0"}', '6']]);
    expect(files()).toEqual({ killed: 1, duplicate: 2 });
    expect(series().get('vmm_agent_files{state="duplicate"}')).toBe('2');
  });

  test('when two stores are called default, then their paths tell them apart', () => {
    const folder = temporaryFolder();
    for (const vm of ['a', 'b']) write(join(folder, vm, 'metrics.region'), { name: 'default', n: vm === 'a' ? 1n : 2n });
    const { series, files } = fleetOf([folder]);
    expect([series().get('vmm_g_n_total{vm="a"}'), series().get('vmm_g_n_total{vm="b"}')]).toEqual(['1', '2']);
    expect(files()).toEqual({ killed: 2 });
  });

  test('when a virtual machine claims the id of another, then there is one series, and the other file is counted', () => {
    const folder = temporaryFolder();
    write(join(folder, 'victim.region'), { id: 'victim', startedS: 1 });
    write(join(folder, 'liar.region'), { id: 'victim', startedS: 2, n: 99n });
    write(join(folder, 'nameless.region'), {});
    const { series, files } = fleetOf([folder], { nameFrom: 'id' });
    expect([...series().keys()].filter((key) => key.startsWith('vmm_up'))).toEqual(['vmm_up{vm="nameless"}', 'vmm_up{vm="victim"}']);
    expect(series().get('vmm_g_n_total{vm="victim"}')).toBe('99');
    expect(files()).toEqual({ killed: 2, duplicate: 1 });
    // By path, a file cannot take the name of another.
    expect(fleetOf([folder]).series().get('vmm_g_n_total{vm="victim"}')).toBe('1');
  });

  test('when a process was started again, then its earlier file is counted, and its new one is shown', () => {
    const folder = temporaryFolder();
    const path = write(join(folder, 'vm0/metrics.region'), { startedS: 1, n: 1n });
    const { series, fleet, files } = fleetOf([folder]);
    expect(series().get('vmm_g_n_total{vm="vm0"}')).toBe('1');
    renameSync(path, `${path}.previous`);
    write(path, { startedS: 2, n: 20n });
    expect(series().get('vmm_g_n_total{vm="vm0"}')).toBe('20');
    expect(files()).toEqual({ killed: 1, duplicate: 1 });
    expect(fleet.shown.length).toBe(1);
  });

  test('when a process runs again where another died long ago, then its values are shown, and it dies only now', async () => {
    const folder = temporaryFolder();
    const path = write(join(folder, 'vm0/metrics.region'), { startedS: 1, n: 1n });
    const { series, fleet, clock } = fleetOf([folder]);
    expect(statesOf(series(), 'vm0')).toEqual(['killed']);
    rmSync(path);
    write(path, { startedS: 2, n: 20n });
    const release = await holdLock(path);
    clock.nowMs += 20 * MINUTE;
    expect(statesOf(series(), 'vm0')).toEqual(['running']);
    clock.nowMs += 20 * MINUTE;
    expect(series().get('vmm_g_n_total{vm="vm0"}')).toBe('20');
    await release();
    expect(statesOf(series(), 'vm0')).toEqual(['killed']);
    expect(fleet.named('vm0')!.endedAtMs).toBe(clock.nowMs);
    expect(series().get('vmm_g_n_total{vm="vm0"}')).toBe('20');
  });

  test('when the newest file is removed, then the other one is shown', () => {
    const folder = temporaryFolder();
    write(join(folder, 'a.region'), { startedS: 1, n: 1n });
    const newest = write(join(folder, 'b.region'), { startedS: 2, n: 2n });
    const { series, fleet, files } = fleetOf([folder], { nameFrom: 'name' });
    expect(series().get('vmm_g_n_total{vm="vm0"}')).toBe('2');
    rmSync(newest);
    expect(fleet.refreshOne('vm0')!.writer!.startedAtMs).toBe(START + 1000);
    expect(series().get('vmm_g_n_total{vm="vm0"}')).toBe('1');
    expect(series().get('vmm_agent_files_vanished_total')).toBe('1');
    expect(files()).toEqual({ killed: 1 });
  });
});

describe('given files that are wrong in some way', () => {
  test('when one is damaged, then only its own metrics are missing, and the reason is reported once', () => {
    const folder = temporaryFolder();
    write(join(folder, 'good.region'));
    const bad = write(join(folder, 'bad.region'));
    const never = write(join(folder, 'never.region'));
    const damage = (path: string) => writeFileSync(path, readFileSync(path).fill(0xff, 64, 256));
    damage(never);
    const { series, reports, files } = fleetOf([folder]);
    expect(series().get('vmm_g_n_total{vm="bad"}')).toBe('1');
    damage(bad);
    for (let i = 0; i < 3; i++) {
      const all = series();
      expect(all.get('vmm_g_n_total{vm="good"}')).toBe('1');
      expect(all.has('vmm_g_n_total{vm="bad"}')).toBe(false);
      expect(all.get('vmm_up{vm="bad"}')).toBe('0');
      expect(statesOf(all, 'bad')).toEqual([]);
      expect(all.has('vmm_up{vm="never"}')).toBe(false);
      expect(files()).toEqual({ killed: 1, unreadable: 2 });
    }
    expect(reports.filter((text) => text.includes(bad)).length).toBe(1);
    expect(reports.filter((text) => text.includes(never)).length).toBe(1);
    write(bad, { n: 3n });
    expect(series().get('vmm_g_n_total{vm="bad"}')).toBe('3');
  });

  test('when one has more series than allowed, then only its state is shown', () => {
    const folder = temporaryFolder();
    write(join(folder, 'small.region'), { devices: ['a'] });
    write(join(folder, 'large.region'), { devices: Array.from({ length: 10 }, (_, i) => `${i}`) });
    const { series, reports } = fleetOf([folder], { seriesMax: 11 });
    expect([...series().keys()].filter((key) => key.includes('_total{vm="large"'))).toEqual([]);
    expect(series().get('vmm_disk_ops_total{vm="small",device="a"}')).toBe('2');
    expect(statesOf(series(), 'large')).toEqual(['killed']);
    expect(series().get('vmm_agent_files_without_values{reason="too_many_series"}')).toBe('1');
    expect(reports).toEqual([expect.stringMatching(/large\.region': only the state .* more series than --max-series 11$/)]);
    expect(fleetOf([folder], { seriesMax: 12 }).series().has('vmm_disk_all_ops_total{vm="large"}')).toBe(true);
  });

  test('when a metric of one has a name of the agent, then only its state is shown', () => {
    const folder = temporaryFolder();
    write(join(folder, 'good.region'));
    write(join(folder, 'bad.region'), { shape: { crash: group({ info: store('no crash') }) } });
    const { series, reports } = fleetOf([folder]);
    expect(series().has('vmm_crash_info{vm="bad"}')).toBe(false);
    expect(series().get('vmm_g_n_total{vm="good"}')).toBe('1');
    expect(series().get('vmm_agent_files_without_values{reason="clash"}')).toBe('1');
    expect(reports).toEqual([expect.stringContaining("crash.info would be exported as 'vmm_crash_info'")]);
  });

  test('when two schema versions differ in metrics, then both are shown; where a name has two types, most files win', () => {
    const folder = temporaryFolder();
    write(join(folder, 'old.region'));
    write(join(folder, 'old2.region'));
    write(join(folder, 'new.region'), { shape: { g: group({ n: inc('n'), more: inc('more') }) } });
    const { series, reports, fleet, scrapes } = fleetOf([folder]);
    expect([...series().keys()].filter((key) => key.startsWith('vmm_g_'))).toEqual([
      'vmm_g_n_total{vm="new"}',
      'vmm_g_n_total{vm="old"}',
      'vmm_g_n_total{vm="old2"}',
      'vmm_g_more_total{vm="new"}',
    ]);
    // Alphabetically and by age, this one comes first.
    write(join(folder, 'another.region'), { shape: { g: group({ n_total: store('n') }) }, startedS: -9 });
    expect([...series().keys()].filter((key) => key.startsWith('vmm_g_n')).length).toBe(3);
    expect(series().get('vmm_up{vm="another"}')).toBe('0');
    expect(series().get('vmm_agent_files_without_values{reason="clash"}')).toBe('1');
    expect(reports).toEqual([
      expect.stringMatching(
        /another\.region'.* it clashes with '.*\/old2?\.region': .*'vmm_g_n_total': the counter .* of g\.n, and the gauge /,
      ),
    ]);
    // The file of the report is not the only one, so nothing is new when that file goes.
    const [named] = /(?<=clashes with ')[^']+/.exec(reports[0]!)!;
    rmSync(named);
    write(join(folder, 'old3.region'));
    expect(series().get('vmm_agent_files_without_values{reason="clash"}')).toBe('1');
    expect(reports.length).toBe(1);
    // Alone, its values clash with nothing.
    const alone = Buffer.concat(scrapes.ofVm(EVERYTHING, fleet.refreshOne('another')!)).toString();
    expect(seriesOf(alone).get('vmm_g_n_total{vm="another"}')).toBe('0');
  });

  test('when a folder vanishes, then its virtual machines vanish, are counted, and come back with the folder', () => {
    const folder = temporaryFolder();
    write(join(folder, 'vms/a.region'));
    const { series, files } = fleetOf([join(folder, 'vms')]);
    expect(series().has('vmm_up{vm="a"}')).toBe(true);
    renameSync(join(folder, 'vms'), join(folder, 'away'));
    expect([...series().keys()].filter((key) => key.startsWith('vmm_up'))).toEqual([]);
    expect(series().get('vmm_agent_files_vanished_total')).toBe('1');
    expect(files()).toEqual({});
    renameSync(join(folder, 'away'), join(folder, 'vms'));
    expect(series().has('vmm_up{vm="a"}')).toBe(true);
  });

  test('when files are removed, then the agent keeps none of them open, since their memory would stay in use', () => {
    const folder = temporaryFolder();
    const paths = ['a', 'b', 'c'].map((name) => write(join(folder, `${name}.region`)));
    const { series } = fleetOf([folder]);
    for (let i = 0; i < 4; i++) series();
    expect(descriptorsOf(folder)).toHaveLength(3);
    rmSync(paths[0]!);
    rmSync(paths[1]!);
    series();
    expect(descriptorsOf(folder)).toHaveLength(1);
  });

  test.runIf(process.getuid!() === 0)('when one belongs to another user, then it is read only if that was asked for', () => {
    const folder = temporaryFolder();
    const path = write(join(folder, 'theirs.region'));
    chmodSync(path, 0o644);
    chownSync(path, 4321, 4321);
    expect(fleetOf([folder]).series().has('vmm_up{vm="theirs"}')).toBe(false);
    expect(fleetOf([folder], { owners: 'any' }).series().has('vmm_up{vm="theirs"}')).toBe(true);
  });
});

describe('given names and properties with any characters', () => {
  test('when they are exported, then they are escaped, and labels that become the same have both values', () => {
    const folder = temporaryFolder();
    const name = 'a"b\\c\nd é{}';
    write(join(folder, 'vm.region'), { name, id: name, properties: { 'a.b': '1', 'a-b': '2', zone: 'x"y' } });
    const { series } = fleetOf([folder], { nameFrom: 'name' });
    const label = 'a\\"b\\\\c\\nd é{}';
    expect(series().get(`vmm_up{vm="${label}"}`)).toBe('0');
    expect(series().get(`vmm_info{vm="${label}",pid="4242",name="${label}",id="${label}",property_a_b="1;2",property_zone="x\\"y"}`)).toBe(
      '1',
    );
  });
});

describe('given a scrape that asks for less', () => {
  const scraped = (query: Partial<ScrapeQuery>) => {
    const folder = temporaryFolder();
    write(join(folder, 'vm.region'), { devices: ['a', 'b'] });
    return [...fleetOf([folder]).series(query).keys()].filter((key) => !key.startsWith('vmm_agent'));
  };
  test('when devices are not wanted, then there are only their sums', () => {
    expect(scraped({ detail: 'vm' }).filter((key) => key.includes('disk'))).toEqual(['vmm_disk_all_ops_total{vm="vm"}']);
  });
  test.each(['vmm_disk_ops_total', 'vmm_disk_ops'])('when %s is asked for, then there is nothing else', (name) => {
    expect(scraped({ names: new Set([name]) })).toEqual([
      'vmm_disk_ops_total{vm="vm",device="a"}',
      'vmm_disk_ops_total{vm="vm",device="b"}',
    ]);
  });
  test('when several names are asked for, then there are the families of these names', () => {
    expect(scraped({ names: new Set(['vmm_up', 'vmm_g_n', 'none']) })).toEqual(['vmm_up{vm="vm"}', 'vmm_g_n_total{vm="vm"}']);
  });
});

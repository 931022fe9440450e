// `vmm-metrics lines`: sums, rates, torn lines, pages, and following a file.

import { spawn } from 'node:child_process';
import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Metrics } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { node } from './helpers/children.ts';
import { cli, oneLine, program } from './helpers/command.ts';
import { regionFile } from './helpers/counted-region.ts';
import { makeFifo } from './helpers/sinks.ts';
import { closing, freshName, parseLine, temporaryFolder } from './helpers/workplace.ts';

const line = (second: number, content: object) => `${JSON.stringify({ utc_timestamp_ms: 1_000 * second, ...content })}\n`;

/** The cells of the row of a metric. */
function rowOf(text: string, path: string): string[] | undefined {
  const row = text.split('\n').find((one) => one.startsWith(`${path} `));
  return row?.split(/\s{2,}/).slice(1);
}

function written(text: string): string {
  const file = join(temporaryFolder(), 'vm0.jsonl');
  writeFileSync(file, text);
  return file;
}

describe('given lines of Firecracker', () => {
  const text = [
    line(10, { vcpu: { exit_io_out: 1000 }, balloon: { actual_pages: 1 }, block_a: { read_agg: { min_us: 5, max_us: 9, sum_us: 14 } } }),
    line(11, { vcpu: { exit_io_out: 7 }, signals: { sigpipe: 0 }, block_a: { read_agg: { min_us: 3, max_us: 9, sum_us: 3 } } }),
    line(14, { vcpu: { exit_io_out: 1 }, vmm: { panic_count: 1 } }),
  ].join('');

  test('when they are summed up, then counters have sums and rates, and gauges their last, least and largest value', async () => {
    const { code, stdout, stderr } = await cli('lines', written(text));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/vm0\.jsonl: 3 lines, from 1970-01-01T00:00:10\.000Z to 1970-01-01T00:00:14\.000Z \(4\.0 s\)\n/);
    // The first delta is from before the first line: (7 + 1) / 4 s.
    expect(rowOf(stdout, 'vcpu.exit_io_out')).toEqual(['1,008', '2']);
    expect(rowOf(stdout, 'block_a.read_agg.sum_us')).toEqual(['17', '0.75', 'us']);
    expect(rowOf(stdout, 'block_a.read_agg.min_us')).toEqual(['3', '3', '5', 'us']);
    expect(rowOf(stdout, 'vmm.panic_count')).toEqual(['1', '1', '1']);
    expect(rowOf(stdout, 'balloon.actual_pages')).toEqual(['1', '0', '?']);
    expect(stdout).toContain('1 metric is always zero; use --all to show it');
    expect(stdout).toContain('No schema has the metrics marked with ?');
  });

  test('when some metrics are named, then only these are shown', async () => {
    const { stdout } = await cli('lines', written(text), '--metrics', 'block_*.sum_us, vcpu.exit_io_out');
    expect(
      stdout
        .split('\n')
        .filter((row) => /^\w+\.|^block/.test(row))
        .map((row) => row.split(' ')[0]),
    ).toEqual(['vcpu.exit_io_out', 'block_a.read_agg.sum_us']);
  });

  test('when a line is torn, then it is skipped and counted, also one without its end', async () => {
    const [first, second, third] = text.split('\n');
    const torn = `${first}\n${second!.slice(0, 30)}\n\n${second}${third}\n[1]\n${third}\n${third!.slice(0, -1)}`;
    const { stdout } = await cli('lines', '--json', written(torn));
    expect(JSON.parse(stdout)).toMatchObject({ lines: 2, torn: 4, from: '1970-01-01T00:00:10.000Z', to: '1970-01-01T00:00:14.000Z' });
  });

  test('when a page is wanted, then its charts have totals of counters and values of gauges', async () => {
    const file = written(text);
    const page = `${file}.html`;
    const { code, stderr } = await cli('lines', file, '--plot', page, '--metrics', 'vcpu.exit_io_out,block_a.read_agg.min_us');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const data = /<script type="application\/json" id="profile">(.*?)<\/script>/s.exec(readFileSync(page, 'utf8'))![1]!;
    const { times, totals } = JSON.parse(data) as { times: number[][]; totals: object[] };
    expect(times).toEqual([[0, 1, 4]]);
    expect(totals).toMatchObject([
      { name: 'vcpu.exit_io_out', first: '0', last: '8' },
      { name: 'block_a.read_agg.min_us', first: '5', last: '3' },
    ]);
  });

  test('when several files are read and one is missing, then the others are shown, and the exit code is 1', async () => {
    const { code, stdout, stderr } = await cli('lines', written(text), '/nowhere/lines', written(text));
    expect(code).toBe(1);
    expect(stderr).toMatch(oneLine);
    expect(stderr).toContain("Cannot read '/nowhere/lines'");
    expect(stdout.match(/: 3 lines/g)).toHaveLength(2);
  });
});

test('given a metric in place of a file, when the command is called, then the error names the option', async () => {
  const { code, stderr } = await cli('lines', 'vcpu.exit_io_out');
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(oneLine) });
  expect(stderr).toMatch(/^vmm-metrics: Cannot read 'vcpu\.exit_io_out': ENOENT.*; to choose metrics, use --metrics\n$/);
  expect((await cli('lines', '/nowhere/lines')).stderr).not.toContain('--metrics');
});

test('given flushed lines, when plot is called, then the error names the command for lines', async () => {
  const file = written(line(1, { vcpu: { exit_io_out: 1 } }));
  expect(await cli('plot', file, '-o', `${file}.html`)).toEqual({
    code: 1,
    stdout: '',
    stderr: `vmm-metrics: '${file}' is not a profile but flushed lines: use vmm-metrics lines --plot\n`,
  });
});

test('given a region file, when its lines are wanted, then the error names the command for region files', async () => {
  const file = regionFile();
  const { code, stderr } = await cli('lines', file);
  expect({ code, stderr: stderr.split('\n')[0] }).toEqual({
    code: 2,
    stderr: expect.stringContaining(`'${file}' is a region file; use vmm-metrics show`),
  });
});

/** What a machine's Firecracker flushes: lines made of the facts about its source, and not of the package's schemas. */
interface Facts {
  readonly source: { readonly tag: string };
  readonly groups: readonly {
    readonly key: string | null;
    readonly device_key?: string;
    readonly emitted_on?: readonly string[];
    readonly fields: readonly { readonly name: string; readonly kind: 'inc' | 'store' | 'latency' }[];
  }[];
}
const FACTS = ['firecracker-schema.json', 'firecracker-schema-1.16.json'].map(
  (file) => JSON.parse(readFileSync(new URL(`fixtures/${file}`, import.meta.url), 'utf8')) as Facts,
);

describe.each(
  FACTS.flatMap((facts) => ['x86_64', 'aarch64'].map((arch) => ({ facts, arch, tag: facts.source.tag }))),
)('given lines of Firecracker $tag on $arch with devices', ({ facts, arch }) => {
  const groups = facts.groups.filter(({ emitted_on: archs }) => archs?.includes(arch) ?? true);
  /** Each key of a line with its fields: a group, its device, and the aggregate of its devices. */
  const objects = groups.flatMap(({ key, device_key: device, fields }) =>
    [device?.replace(/\{\w+\}/, 'root.fs'), key].flatMap((one) => (typeof one === 'string' ? [{ key: one, fields }] : [])),
  );
  let number = 0;
  /** The leaves of a line with their kinds, by path. Each has a number of its own. */
  const kinds = new Map<string, { readonly kind: 'inc' | 'store'; readonly value: number }>();
  const leaf = (path: string, kind: 'inc' | 'store') => {
    kinds.set(path, { kind, value: ++number });
    return number;
  };
  const objectOf = ({ key, fields }: (typeof objects)[number]) =>
    fields.map(({ name, kind }) => {
      const path = `${key}.${name}`;
      if (kind !== 'latency') return [name, leaf(path, kind)];
      return [
        name,
        { min_us: leaf(`${path}.min_us`, 'store'), max_us: leaf(`${path}.max_us`, 'store'), sum_us: leaf(`${path}.sum_us`, 'inc') },
      ];
    });
  const content = Object.fromEntries(objects.map((one) => [one.key, Object.fromEntries(objectOf(one))]));
  const text = [10, 12, 14].map((second) => line(second, content)).join('');

  test('when they are summed up, then each counter has its sum and rate, and each gauge its last value, and none is a guess', async () => {
    const { code, stdout } = await cli('lines', '--json', written(text));
    expect(code).toBe(0);
    const { metrics } = JSON.parse(stdout) as { metrics: { path: string; [key: string]: unknown }[] };
    const expected = [...kinds].map(([path, { kind, value }]) => ({
      path,
      kind,
      isGuess: false,
      ...(kind === 'inc' ? { sum: 3 * value, perSecond: value / 2 } : { last: value, min: value, max: value }),
    }));
    expect(kinds.size).toBeGreaterThan(250);
    expect(metrics.map(({ unit, ...metric }) => metric)).toEqual(expected);
  });

  test('when they are plotted, then the page has a series for each', async () => {
    const file = written(text);
    const page = `${file}.html`;
    expect(await cli('lines', file, '--plot', page)).toEqual({ code: 0, stdout: '', stderr: '' });
    const data = /<script type="application\/json" id="profile">(.*?)<\/script>/s.exec(readFileSync(page, 'utf8'))![1]!;
    const { totals } = JSON.parse(data) as { totals: { name: string }[] };
    expect(new Set(totals.map(({ name }) => name))).toEqual(new Set(kinds.keys()));
  });
});

test('given lines with integers of 64 bits, when they are summed up, then the sums are exact', async () => {
  const file = join(temporaryFolder(), 'lines');
  const metrics = closing(Metrics.open(firecracker, { name: freshName(), id: '12345678901234567890' }));
  metrics.init(file);
  for (const _ of [1, 2, 3]) {
    metrics.app.vcpu.exit_io_out.add(2n ** 62n + 1n);
    metrics.app.block.alloc('a.b":98765432109876543210').read_bytes.add(2n ** 53n + 1n);
    metrics.write();
  }
  const { stdout } = await cli('lines', '--json', file);
  const { metrics: all } = parseLine(stdout.replace(/"(from|to)":"[^"]*",/g, '').replace(/"perSecond":[^}]*/g, '"perSecond":0')) as {
    metrics: { path: string; sum?: bigint; isGuess: boolean }[];
  };
  const sumOf = (path: string) => all.find((metric) => metric.path === path)?.sum;
  expect(sumOf('vcpu.exit_io_out')).toBe(3n * (2n ** 62n + 1n));
  expect(sumOf('block_a.b":98765432109876543210.read_bytes')).toBe(3n * (2n ** 53n + 1n));
  expect(all.filter(({ isGuess }) => isGuess)).toEqual([]);
});

test('given lines of a schema of its own, when the schema is named, then its gauges are gauges', async () => {
  const folder = temporaryFolder();
  const schema = join(folder, 'schema.mjs');
  const built = new URL('../dist/lib/index.js', import.meta.url).href;
  writeFileSync(
    schema,
    `import { defineSchema, group, perDevice, store, inc, utcTimestampMs } from ${JSON.stringify(built)};
     export const mine = defineSchema({ at: utcTimestampMs(), g: group({ level: store('Level') }), d: perDevice({ n_bytes: inc('n') }) });`,
  );
  const file = join(folder, 'lines');
  writeFileSync(file, '{"at":1000,"g":{"level":3},"d_x":{"n_bytes":1}}\n{"at":3000,"g":{"level":2},"d_x":{"n_bytes":4}}\n');
  const { stdout, stderr } = await cli('lines', file, '--schema', schema, '--export', 'mine');
  expect(stderr).toBe('');
  expect(rowOf(stdout, 'g.level')).toEqual(['2', '2', '3']);
  expect(rowOf(stdout, 'd_x.n_bytes')).toEqual(['5', '2', 'bytes']);
  expect(stdout).not.toContain('?');
});

test('given a pipe or a folder, when it is followed, then the error says that it must be a regular file', async () => {
  for (const path of [makeFifo(join(temporaryFolder(), 'pipe')), temporaryFolder()]) {
    const { code, stderr } = await cli('lines', '--follow', path);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `vmm-metrics: '${path}' is no regular file, so --follow cannot find its new lines\n`,
    });
  }
});

/** `lines --follow` of a file, and what it prints. */
function followed(file: string) {
  const child = spawn(node, [program, 'lines', '--follow', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill());
  const said = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text));
  const until = async (isThere: () => boolean) => {
    while (!isThere()) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  let second = 1;
  /** Appends lines until one is shown: the first ones may come before the command looks. */
  const begun = () =>
    until(() => {
      if (!said.out.includes('+5')) appendFileSync(file, line(++second, { vcpu: { exit_io_out: 5 } }));
      return said.out.includes('+5');
    });
  return { said, until, begun };
}

describe('given a file that is followed', () => {
  const first = line(1, { vcpu: { exit_io_out: 999 } });

  test('when lines come and the file is rotated, then each new line is shown once', async () => {
    const file = written(first);
    const { said, until, begun } = followed(file);
    await begun();
    const tail = line(1000, { vcpu: { exit_io_out: 6, failures: 0 }, signals: { sigsegv: 1 } });
    appendFileSync(file, tail.slice(0, 20));
    appendFileSync(file, tail.slice(20));
    await until(() => said.out.includes('+6'));
    appendFileSync(file, '{"torn\n');
    await until(() => said.err.includes('skipped a torn line'));
    // As logrotate does it: for a time, the process writes into the renamed file, and the path names nothing.
    renameSync(file, `${file}.1`);
    appendFileSync(`${file}.1`, line(1001, { vcpu: { exit_io_out: 7 } }));
    await until(() => said.out.includes('+7'));
    writeFileSync(file, line(1002, { vcpu: { exit_io_out: 8 }, signals: { sigsegv: 1 } }));
    await until(() => said.out.includes('+8'));
    const shown = said.out.split('\n');
    expect(shown).toContainEqual(
      expect.stringMatching(/^1970-01-01T00:16:40\.000Z {2}vcpu\.exit_io_out \+6 \([\d.]+\/s\) {2}signals\.sigsegv 1$/),
    );
    expect(shown).toContain('1970-01-01T00:16:42.000Z  vcpu.exit_io_out +8 (8/s)');
    for (const delta of ['+6', '+7', '+8']) expect(said.out.split(delta)).toHaveLength(2);
    expect(said.out).not.toContain('999');
  });

  test('when the file is cut short, then its new lines are shown, and half a line of before is not', async () => {
    const file = written(first);
    const { said, until, begun } = followed(file);
    await begun();
    appendFileSync(file, `${line(1000, { vcpu: { exit_io_out: 7 } })}{"utc_timestamp_ms":1001000,"vcpu":{"half":`);
    await until(() => said.out.includes('+7'));
    writeFileSync(file, line(1002, { vcpu: { exit_io_out: 8 } })); // shorter than the file was
    await until(() => said.out.includes('+8'));
    expect(said.err).toBe(`vmm-metrics: '${file}' was cut short; reading it from its beginning\n`);
    appendFileSync(file, line(1003, { vcpu: { exit_io_out: 9 } }));
    await until(() => said.out.includes('+9'));
    expect(said.out).not.toContain('half');
  });
});

test.each([
  { args: [], error: 'lines: FILE is missing' },
  { args: ['a', '--json', '--follow'], error: 'lines: --json and --follow cannot be used together' },
  { args: ['a', 'b', '--follow'], error: 'lines: --follow takes one FILE; got 2' },
  { args: ['a', '--plot', 'a'], error: "lines: --plot would overwrite 'a'" },
  { args: ['a', '--metrics', 'x,,y'], error: "lines: --metrics has an empty name; got 'x,,y'" },
  { args: ['a', '--export', 'x'], error: 'lines: --export needs --schema' },
  { args: ['-', '--follow'], error: 'lines: --follow needs the path of a file' },
])('given the wrong arguments $args, when the command is called, then one line says what is wrong, and the exit code is 2', async ({
  args,
  error,
}) => {
  const { code, stdout, stderr } = await cli('lines', ...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(oneLine);
  expect(stderr).toContain(error);
});

// Reads the command line.

import { parseArgs } from 'node:util';

export const HELP = `Usage: node dist/examples/kvm-vmm/main.js [options]

Runs a tiny guest on /dev/kvm, prints its serial output, and then prints every metric that is not zero.

  --seconds N      run the machine for N seconds (default 3)
  --rate N         limit the guest to N exits per second (default 20000; 0: no limit)
  --simulate       do not use KVM: a native thread makes the guest's exits
  --crash          after 1.5 s, truncate the guest's memory file; show the SIGBUS and the last line
  --overflow       after 1.5 s, overflow the native stack of the vCPU thread; show the SIGSEGV and the last line
  --kill           after 1.5 s, send SIGKILL, which no process can handle; show what survived in the region file
  --profile        sample the vCPU and the disk every millisecond into kvm-vmm-profile.tsv, and plot the samples in
                   kvm-vmm-profile.html
  --tour           run all of these, each for 2 s unless --seconds is given; on a terminal, wait for Enter between them
  --yes            with --tour: never wait
  --metrics FILE   write the metrics lines to FILE (default: a temporary file, removed at the end)
  --help           print this text
`;

/** The command line, checked. */
export interface Settings {
  readonly seconds: number;
  readonly exitsPerSecond: number;
  readonly simulate: boolean;
  /** How the machine dies; `undefined` if it ends in the normal way. */
  readonly death: 'crash' | 'overflow' | 'kill' | undefined;
  readonly profile: boolean;
  /** Whether all variants run, one after the other. */
  readonly tour: boolean;
  /** Whether the tour does not wait between the variants. */
  readonly yes: boolean;
  readonly metricsFile: string | undefined;
  /** Set in the child process that dies: the directory that its parent makes and removes. */
  readonly directory: string | undefined;
}

/** The command line is wrong; the message is one line that says why. */
export class UsageError extends Error {}

/**
 * Reads the command line. Returns `undefined` for `--help`.
 * @throws UsageError
 */
export function settingsOf(args: readonly string[]): Settings | undefined {
  const { values } = parse(args);
  if (values.help) return undefined;
  const deaths = (['crash', 'overflow', 'kill'] as const).filter((death) => values[death]);
  if (deaths.length > 1) throw new UsageError(`choose one of --${deaths.join(' and --')}: a machine dies once`);
  if (values.profile && deaths.length > 0) throw new UsageError('--profile cannot be combined with --crash, --overflow or --kill');
  if (values.tour && (values.profile || deaths.length > 0 || values.metrics !== undefined)) {
    throw new UsageError('--tour runs all variants; leave out --crash, --overflow, --kill, --profile and --metrics');
  }
  if (values.yes && !values.tour) throw new UsageError('--yes can only be used with --tour');
  return {
    seconds: numberOf('--seconds', values.seconds, 3600),
    exitsPerSecond: Math.round(numberOf('--rate', values.rate, 0xffff_ffff)),
    simulate: values.simulate,
    death: deaths[0],
    profile: values.profile,
    tour: values.tour,
    yes: values.yes,
    metricsFile: values.metrics,
    directory: values.directory,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        seconds: { type: 'string', default: '3' },
        rate: { type: 'string', default: '20000' },
        simulate: { type: 'boolean', default: false },
        crash: { type: 'boolean', default: false },
        overflow: { type: 'boolean', default: false },
        kill: { type: 'boolean', default: false },
        profile: { type: 'boolean', default: false },
        tour: { type: 'boolean', default: false },
        yes: { type: 'boolean', default: false },
        metrics: { type: 'string' },
        help: { type: 'boolean', default: false },
        directory: { type: 'string' }, // not for users: the parent passes it to the child that dies
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function numberOf(option: string, text: string, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= max)) {
    throw new UsageError(`${option} must be a number from 0 to ${max}; got '${text}'`);
  }
  return value;
}

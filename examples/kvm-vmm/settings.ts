// The command line, and what it says.

import { parseArgs } from 'node:util';

export const HELP = `Usage: node dist/examples/kvm-vmm/main.js [options]

Runs a tiny guest on /dev/kvm, shows what it writes to its serial port, and at the end what was counted.

  --seconds N      how long the machine runs (default 3)
  --rate N         guest exits per second, 0 for as many as the machine can do (default 20000)
  --simulate       no KVM: a native thread makes the guest's exits
  --crash          after 1 s, truncates the guest's memory under the running vCPU; shows the SIGBUS and the last line
  --overflow       after 1 s, uses up the native stack of the vCPU thread; shows the SIGSEGV and the last line
  --kill           after 1 s, is killed by SIGKILL, which nothing can handle; shows what its region file has
  --profile        samples what the vCPU and the disk do each millisecond, into kvm-vmm-profile.tsv, and plots it in
                   kvm-vmm-profile.html
  --metrics FILE   where the lines go; without it to a temporary file, removed at the end
  --help           this text
`;

/** What the program was told to do. */
export interface Settings {
  readonly seconds: number;
  readonly exitsPerSecond: number;
  readonly simulate: boolean;
  /** The death that is wanted, if one is. */
  readonly death: 'crash' | 'overflow' | 'kill' | undefined;
  readonly profile: boolean;
  readonly metricsFile: string | undefined;
  /** Set in the child that is to die: the directory that its parent made, and removes. */
  readonly directory: string | undefined;
}

/** The command line is not usable; one line says why. */
export class UsageError extends Error {}

/**
 * Reads the command line. `undefined`: help is wanted.
 * @throws UsageError
 */
export function settingsOf(args: readonly string[]): Settings | undefined {
  const { values } = parse(args);
  if (values.help) return undefined;
  const deaths = (['crash', 'overflow', 'kill'] as const).filter((death) => values[death]);
  if (deaths.length > 1) throw new UsageError(`--${deaths.join(' and --')} are ${deaths.length} deaths; choose one`);
  if (values.profile && deaths.length > 0) throw new UsageError('--profile is for a machine that lives');
  return {
    seconds: numberOf('--seconds', values.seconds, 3600),
    exitsPerSecond: Math.round(numberOf('--rate', values.rate, 0xffff_ffff)),
    simulate: values.simulate,
    death: deaths[0],
    profile: values.profile,
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
        metrics: { type: 'string' },
        help: { type: 'boolean', default: false },
        directory: { type: 'string' }, // for the program itself
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

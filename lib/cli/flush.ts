// `vmm-metrics flush`: the last line of a process that is gone goes where lines go, once.

import { checkedPath } from '../arguments.ts';
import { flushLastLine } from '../region/last-line.ts';
import { asUsage, type Command, parsed, report, UsageError } from './command.ts';

const HELP = `Usage: vmm-metrics flush FILE --to SINK

Writes what a dead process had not flushed as one last line to SINK: a file, to
which it is appended, a named pipe, or - for standard output. Then it counts as
flushed: a second time there is nothing to flush, and exit code 0 all the same.

A pipe is waited for 5 seconds: for somebody to read it, and to take the line.
Of a process that runs, or when the line does not get out, nothing changes, and
the exit code is 1.
`;

export const flush: Command = {
  summary: 'write the last line of a dead process',
  help: HELP,
  async run(args) {
    const { values, operands } = parsed(args, { to: { type: 'string' } } as const, ['FILE']);
    if (values.to === undefined) throw new UsageError('--to SINK is missing');
    const path = operands[0]!;
    asUsage(() => checkedPath('FILE', path));
    asUsage(() => checkedPath('SINK', values.to));
    const isOut = await flushLastLine(path, values.to === '-' ? 1 : values.to);
    if (!isOut) report(`there is nothing to flush in '${path}'`);
    return 0;
  },
};

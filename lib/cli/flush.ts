// `vmm-metrics flush`: writes the last line of a dead process, once.

import { checkedPath } from '../arguments.ts';
import { flushLastLine } from '../region/last-line.ts';
import { digits } from '../text.ts';
import { asUsageError, type Command, parsed, report, UsageError } from './command.ts';

const HELP = `Usage: vmm-metrics flush FILE --to SINK

Writes the last line of a dead process: all that the process counted and did not
flush. The line then counts as flushed, so that a second run finds nothing to
write; that run also exits with 0.

  --to SINK  a file, to which the line is appended; a named pipe; or - for
             standard output

If SINK is a pipe, waits up to 5 seconds for a reader, and up to 5 more for the
reader to take the line. If the process is still running, or if the whole line
cannot be written, nothing counts as flushed and the exit code is 1.
`;

const OPTIONS = { to: { type: 'string', value: 'file' } } as const;

export const flush: Command = {
  summary: 'write the last line of a dead process',
  help: HELP,
  options: OPTIONS,
  operands: 'file',
  async run(args) {
    const { values, operands } = parsed(args, OPTIONS, ['FILE']);
    if (values.to === undefined) throw new UsageError('--to SINK is missing');
    const path = operands[0]!;
    asUsageError(() => checkedPath('FILE', path));
    asUsageError(() => checkedPath('SINK', values.to));
    const isPrinted = values.to === '-';
    const written = await flushLastLine(path, isPrinted ? 1 : values.to);
    if (written === undefined) report(`there is nothing to flush in '${path}'`);
    else if (!isPrinted) report(`wrote the last line of process ${written.pid} to '${values.to}' (${digits(BigInt(written.bytes))} bytes)`);
    return 0;
  },
};

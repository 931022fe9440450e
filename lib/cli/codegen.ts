// `vmm-metrics codegen`: writes the C++ header of a schema.

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

import { checkedPath } from '../arguments.ts';
import { headerOf } from '../codegen/header.ts';
import { isNamespace } from '../codegen/names.ts';
import { schemaOfModule } from '../codegen/schema-module.ts';
import { fingerprintOf } from '../fingerprint.ts';
import { layoutOf } from '../layout.ts';
import { asUsageError, type Command, parsed, report, UsageError } from './command.ts';
import { refuseRegion } from './regions.ts';
import { writeWhole } from './whole-file.ts';

const HELP = `Usage: vmm-metrics codegen SCHEMA.js -o FILE.gen.h [--export NAME]
                           [--namespace NS] [--check]

Writes a C++ header with a typed constant for each metric of a schema. Native
code that includes it counts without looking up names:

  metrics::vcpu::exit_io_out.inc(shard);
  auto drv0 = metrics::pmem::alloc(store, "drv0");
  drv0.event_fails.inc(shard);

A misspelt name is a compile error. SCHEMA.js is a module that exports the
schema; it is executed. It may also be the name of a package, such as
vmm-metrics/firecracker. A name that C++ keeps for itself, such as 'default',
gets an underscore at its end.

  -o, --output FILE  the header; - for standard output
  --export NAME      the export of SCHEMA.js that is the schema
                     (default: default)
  --namespace NS     the namespace of the header (default: metrics)
  --check            write nothing; fail if FILE is not what would be written
`;

const OPTIONS = {
  output: { type: 'string', short: 'o', value: 'file' },
  export: { type: 'string' },
  namespace: { type: 'string' },
  check: { type: 'boolean' },
} as const;

export const codegen: Command = {
  summary: 'write a C++ header with a constant for each metric of a schema',
  help: HELP,
  options: OPTIONS,
  operands: 'file',
  async run(args) {
    const { values, operands } = parsed(args, OPTIONS, ['SCHEMA.js']);
    const module = asUsageError(() => checkedPath('SCHEMA.js', operands[0]!));
    if (values.output === undefined) throw new UsageError('-o FILE.gen.h is missing');
    const output = asUsageError(() => checkedPath('FILE.gen.h', values.output!));
    if (values.check && output === '-') throw new UsageError('--check needs a file to compare, not -');
    const namespace = values.namespace ?? 'metrics';

    if (!isNamespace(namespace)) throw new UsageError(`--namespace must be a name of C++; got '${namespace}'`);
    const exported = values.export ?? 'default';
    const layout = layoutOf(await schemaOfModule(module, exported));
    const source = exported === 'default' ? basename(module) : `'${exported}' of ${basename(module)}`;
    const header = headerOf(layout, { namespace, source, fingerprint: fingerprintOf(layout) });
    if (values.check) return isUpToDate(output, header) ? 0 : 1;
    if (output === '-') {
      process.stdout.write(header);
      return 0;
    }
    refuseRegion(output);
    // An unchanged header keeps its time, so that a build does not compile its users again.
    if (textOf(output) !== header) writeWhole('the header', output, header);
    return 0;
  },
};

function isUpToDate(file: string, header: string): boolean {
  const text = textOf(file);
  if (text === header) return true;
  if (text === undefined) {
    report(`${file} does not exist, or cannot be read`);
    return false;
  }
  const lines = text.split('\n');
  const line = header.split('\n').findIndex((expected, i) => expected !== lines[i]);
  report(
    `${file} is out of date from line ${(line < 0 ? header.split('\n').length : line) + 1} on; run vmm-metrics codegen without --check`,
  );
  return false;
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

#!/usr/bin/env node
// The command line. A wrong use prints one line and exits with 2, a failure one line and 1.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { type Command, type CommandIo, UsageError } from './command.ts';
import { plot } from './plot.ts';

const COMMANDS: Readonly<Record<string, Command>> = { plot };

const HELP = `Usage: vmm-metrics COMMAND [arguments]

  plot FILE.tsv -o FILE.html   a page of a profile

vmm-metrics COMMAND --help says more. --version prints the version.
`;

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const [name, ...rest] = args;
  if (name === '--help' || name === '-h') io.stdout.write(HELP);
  else if (name === '--version') io.stdout.write(`${version()}\n`);
  else if (name === undefined) throw new UsageError(`name a command: ${Object.keys(COMMANDS).join(', ')}; --help says more`);
  else if (!Object.hasOwn(COMMANDS, name)) throw new UsageError(`there is no command '${name}'; --help says which there are`);
  else return COMMANDS[name]!(rest, io);
  return 0;
}

function version(): string {
  const path = createRequire(import.meta.url).resolve('vmm-metrics/package.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

process.stdout.on('error', () => {}); // a reader that has gone is no failure
try {
  process.exitCode = await run(process.argv.slice(2), process);
} catch (error) {
  process.stderr.write(`vmm-metrics: ${(error as Error).message.replaceAll('\n', ' ')}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

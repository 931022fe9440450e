#!/usr/bin/env node
// The command `vmm-metrics`: runs one of its commands and reports how it ended. Wrong usage prints one line and exits
// with 2; a failure prints one line and exits with 1.

import { whatThereIs } from '../unknown-names.ts';
import { VERSION } from '../version.ts';
import { codegen } from './codegen.ts';
import { type Command, report, UsageError } from './command.ts';
import { completionsOf } from './completions.ts';
import { flush } from './flush.ts';
import { lines } from './lines.ts';
import { plot } from './plot.ts';
import { profile } from './profile.ts';
import { serve } from './serve.ts';
import { show } from './show.ts';
import { watch } from './watch.ts';

const COMMANDS: Readonly<Record<string, Command>> = {
  ...{ show, watch, flush, profile, plot, codegen, serve, lines },
  completions: completionsOf(() => COMMANDS),
};

const USAGE = `Usage: vmm-metrics COMMAND [ARGUMENT]...

Commands:
${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(12)} ${summary}`)
  .join('\n')}

  vmm-metrics COMMAND --help  explains a command
  vmm-metrics --version       prints the version
`;

async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === '--help' || name === '-h' || name === '--version') {
    if (args.length > 0) throw new UsageError(`unexpected argument '${args[0]}' after ${name}`);
    process.stdout.write(name === '--version' ? `${VERSION}\n` : USAGE);
    return 0;
  }
  if (name === undefined) throw new UsageError('a command is missing; vmm-metrics --help lists the commands');
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name]! : undefined;
  if (command === undefined) {
    throw new UsageError(`there is no command '${name}'; ${whatThereIs(name, Object.keys(COMMANDS))}`);
  }
  // After `--`, a --help is an operand.
  const options = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
  if (options.includes('--help') || options.includes('-h')) {
    process.stdout.write(command.help);
    return 0;
  }
  try {
    return await command.run(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${name}: ${error.message}; see vmm-metrics ${name} --help`);
  }
}

// EPIPE: the reader stopped early, as `head` does; exit 0.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  report(`standard output: ${error.message}`);
  process.exit(1);
});
process.stderr.on('error', () => {});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  report(error instanceof Error ? error.message : String(error));
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

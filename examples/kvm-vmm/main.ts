// A miniature virtual machine monitor with metrics. The guest runs on /dev/kvm, its vCPU is a native thread, its
// devices are TypeScript, and every exit is counted. README.md lists what the program can show.

import { runMachine } from './machine.ts';
import { runUntilDeath } from './postmortem.ts';
import { HELP, settingsOf, UsageError } from './settings.ts';

process.stdout.on('error', () => {}); // the machine runs on when its reader has gone
try {
  const args = process.argv.slice(2);
  const settings = settingsOf(args);
  if (settings === undefined) process.stdout.write(HELP);
  else if (settings.death !== undefined && settings.directory === undefined) process.exitCode = await runUntilDeath(settings, args);
  else process.exitCode = await runMachine(settings);
} catch (error) {
  process.stderr.write(`kvm-vmm: ${(error as Error).message.replaceAll('\n', ' ')}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

// A virtual machine monitor in miniature, with metrics: a guest on /dev/kvm, its vCPU on a native thread, its devices
// in TypeScript, everything counted. README.md says what there is to see.

import { runMachine } from './machine.ts';
import { runUntilDeath } from './postmortem.ts';
import { HELP, settingsOf, UsageError } from './settings.ts';

process.stdout.on('error', () => {}); // a reader that has gone is no reason to stop
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

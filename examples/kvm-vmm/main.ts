// A miniature virtual machine monitor with metrics. The guest runs on /dev/kvm, its vCPU is a native thread, its
// devices are TypeScript, and every exit is counted. README.md lists what the program can show.

import { runMachine } from './machine.ts';
import { runUntilDeath } from './postmortem.ts';
import { HELP, type Settings, settingsOf, UsageError } from './settings.ts';
import { nextStop, runTour } from './tour.ts';

process.stdout.on('error', () => {}); // the machine runs on when its reader has gone
try {
  const args = process.argv.slice(2);
  const settings = settingsOf(args);
  if (settings === undefined) process.stdout.write(HELP);
  else if (settings.tour) process.exitCode = await runTour(settings, args);
  else process.exitCode = await runVariant(settings, args);
} catch (error) {
  process.stderr.write(`kvm-vmm: ${(error as Error).message.replaceAll('\n', ' ')}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

async function runVariant(settings: Settings, args: readonly string[]): Promise<number> {
  const isChild = settings.directory !== undefined; // its parent shows what it left
  const code = settings.death === undefined || isChild ? await runMachine(settings) : await runUntilDeath(settings, args);
  if (code === 0 && !isChild) process.stdout.write(nextStop(settings));
  return code;
}

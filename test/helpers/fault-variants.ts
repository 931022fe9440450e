// Variants of the rows of the fault matrix: how a process dies, where, and what its end must be.

import { type Case, checkFault, someLoad, type Where } from './faults.ts';
import type { AddVariant } from './matrix-table.ts';

export type Fatal = Pick<Case, 'ends' | 'marks'>;
export const SEGV: Fatal = { ends: 'SIGSEGV', marks: { sigsegv: 1n } };
export const BUS: Fatal = { ends: 'SIGBUS', marks: { sigbus: 1n } };
export const ILL: Fatal = { ends: 'SIGILL', marks: { sigill: 1n } };
export const FPE: Fatal = { ends: 'SIGFPE', marks: {} };
export const SYS: Fatal = { ends: 'SIGSYS', marks: { num_faults: 1n } };
export const ABRT: Fatal = { ends: 'SIGABRT', marks: { panic_count: 1n } };
/** No signal is counted. The only line is that of an orderly end. */
export const LIVES: Fatal = { ends: 0, marks: {} };

export const EVERYWHERE: readonly Where[] = ['main', 'worker', 'thread', 'pool', 'attached'];

export function variant(add: AddVariant, one: Case): void {
  const { how, where, signal, load } = one.plan;
  const name = one.name ?? `${how}${signal ? ` ${signal}` : ''}${where ? `, ${where}` : ''}`;
  const lines = one.marks === null ? 'without a line' : 'with a last line';
  const end = one.ends === 0 ? 'the process lives, and its last line has no mark' : `the process ends with ${one.ends}, ${lines}`;
  add(`when ${name}${load ? ', while all count and lines go out' : ''}, then ${end}`, () => checkFault(one));
}

/** On each thread, at rest and under load. */
export function onThreads(add: AddVariant, how: string, end: Fatal, wheres: readonly Where[], run?: Case['run']): void {
  for (const where of wheres) {
    variant(add, { plan: { how, where }, ...end, ...(run && { run }) });
    variant(add, { plan: { how, where, load: someLoad }, ...end, ...(run && { run }) });
  }
}

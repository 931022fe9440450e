// The functions that the crash handler can reach, read from the machine code, down to the imported functions. These
// must be on the list of calls that are safe in a signal handler.

import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

import { HANDLER_FILES } from './helpers/handler-files.ts';

const objects = fileURLToPath(new URL('../build/Release/obj.target/vmm_metrics/native/', import.meta.url));

/**
 * All but four are on the list of POSIX. These four, `syscall`, `sigtimedwait`, `mmap` and `mremap`, are plain system
 * calls in every C library.
 *
 * stat() and lstat() are not here. In an addon for an old glibc, they make system calls that the documented list for
 * jails does not have.
 */
const SAFE = [
  ...[
    '_exit',
    'clock_gettime',
    'close',
    'fcntl',
    'fstat',
    'fstatat',
    'getpid',
    'mmap',
    'mremap',
    'nanosleep',
    'open',
    'poll',
    'pread',
    'read',
    'pwrite',
    'send',
    'write',
  ],
  ...[
    'pthread_self',
    'pthread_sigmask',
    'sigaction',
    'sigaddset',
    'sigdelset',
    'sigemptyset',
    'sigfillset',
    'sigismember',
    'sigtimedwait',
    'syscall',
  ],
  ...['memcmp', 'memcpy', 'memmove', 'memset', 'strlen', '__errno_location'],
];
/** Functions that the compiler adds. The last one is for exceptions, which this code never throws. */
const BY_THE_COMPILER = ['__stack_chk_fail', '_GLOBAL_OFFSET_TABLE_', '_Unwind_Resume'];

/** Variables of the addon: globals, static members, constants. No function has such a name. */
const VARIABLE = /(g_[a-z_]+|[a-z]_|kFaults)E?$/;

const compiled = readdirSync(objects, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.o') && file.includes('/') && !file.startsWith('node/'),
);

/** The file of each function that the linker knows by name. Inline functions are in many files and are left out. */
function filesByFunction(): Map<string, string> {
  const byFunction = new Map<string, string>();
  for (const name of compiled) {
    const symbols = execFileSync('objdump', ['-t', `${objects}${name}`], { encoding: 'utf8' });
    for (const [, symbol] of symbols.matchAll(/^[0-9a-f]+ g\s+F \S+\s+[0-9a-f]+ (?:\.hidden )?(\S+)$/gm)) {
      byFunction.set(symbol!, name.replace(/\.o$/, '.cc'));
    }
  }
  return byFunction;
}

/** The functions that each function of the addon names. */
function callGraph(): Map<string, Set<string>> {
  const graph = new Map<string, Set<string>>();
  for (const name of compiled) {
    let current = '';
    const lines = execFileSync('objdump', ['-dr', '--no-show-raw-insn', `${objects}${name}`], { encoding: 'utf8' }).split('\n');
    for (const [i, line] of lines.entries()) {
      const start = /^[0-9a-f]+ <([^>]+)>:$/.exec(line);
      if (start) {
        // Parts that the compiler moved elsewhere belong to their function.
        current = start[1]!.replace(/\.(cold|part\.\d+|constprop\.\d+|isra\.\d+)/g, '');
        if (!graph.has(current)) graph.set(current, new Set());
        continue;
      }
      // A relocation, or a call or jump within the object. Where a relocation follows, the instruction's own operand
      // says nothing yet.
      const isOpen = /^\s*[0-9a-f]+: R_/.test(lines[i + 1] ?? '');
      const named = isOpen ? null : (/R_\w+\s+([\w.$]+)/.exec(line) ?? /\b(?:call|jmp|bl?|j\w+)\s+[0-9a-f]+ <([\w.$]+)/.exec(line));
      const callee = named?.[1]?.replace(/\.(cold|part\.\d+|constprop\.\d+|isra\.\d+)/g, '');
      if (callee !== undefined && callee !== current && !/^\.(text|rodata|data|bss|L)/.test(callee)) graph.get(current)?.add(callee);
    }
  }
  return graph;
}

const graph = callGraph();
const functionNamed = (part: string) => [...graph.keys()].find((name) => name.includes(part))!;

/** Everything that can be reached from a function, each with a path that leads to it. */
function reachable(from: string): Map<string, string[]> {
  const ways = new Map([[from, [from]]]);
  for (const [name, way] of ways) {
    for (const callee of graph.get(name) ?? []) if (!ways.has(callee)) ways.set(callee, [...way, callee]);
  }
  return ways;
}

/** The imported functions among them. Variables of the addon are not calls. */
function unsafeWays(from: string): string[] {
  return [...reachable(from)]
    .filter(
      ([name]) => !graph.has(name) && !SAFE.includes(name.replace(/64$/, '')) && !BY_THE_COMPILER.includes(name) && !VARIABLE.test(name),
    )
    .map(([, way]) => way.join(' -> '));
}

describe('given the machine code of the addon', () => {
  test('when every function that the handler reaches is followed, then the imported functions are all safe in a handler', () => {
    const ways = reachable(functionNamed('HandleSignal'));
    // The walk proves something only if it reaches the sink.
    for (const part of [
      'LastLine',
      'Build',
      'LineWriter5Write',
      'Collection7Collect',
      'ReopenIfReplaced',
      'SinkTurn4Take',
      'WriteThroughPipe',
      'FinishSent',
      'Sink7WriteBy',
      'ProfileOutput8SendLast',
      'FormatRows',
      'KvmSamples6Sample',
    ])
      expect(
        [...ways.keys()].some((name) => name.includes(part)),
        part,
      ).toBe(true);
    expect(unsafeWays(functionNamed('HandleSignal'))).toEqual([]);
  });

  test('when the functions that the handler reaches are looked up, then exactly the listed files define them', () => {
    const byFunction = filesByFunction();
    const reached = [...reachable(functionNamed('HandleSignal')).keys()].map((name) => byFunction.get(name));
    expect([...new Set(reached.filter((file) => file !== undefined))].sort()).toEqual(HANDLER_FILES);
  });

  test('when an ordinary flush is followed, then the walk finds its lock', () => {
    expect(unsafeWays(functionNamed('Flusher5Flush')).join()).toContain('pthread_mutex_lock');
  });
});

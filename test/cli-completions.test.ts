// `vmm-metrics completions`: what shells complete.

import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { cliSync } from './helpers/command.ts';
import { temporaryFolder } from './helpers/workplace.ts';

const scriptFor = (shell: string) => {
  const { status, stdout, stderr } = cliSync(['completions', shell]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
};
const has = (shell: string) => spawnSync(shell, ['-c', 'exit']).error === undefined;

const because = (shell: string) => (has(shell) ? '' : ` (skipped: ${shell} is missing)`);

/** The commands, each with its options, as their help has them. */
function commandsInHelp(): { name: string; options: string[] }[] {
  const names = [...cliSync(['--help']).stdout.matchAll(/^ {2}(\w+) +[a-z]/gm)].map(([, name]) => name!);
  return names.map((name) => ({
    name,
    options: [...cliSync([name, '--help']).stdout.matchAll(/^ {2}(?:-\w, )?--([\w-]+)/gm)].map(([, option]) => option!),
  }));
}

describe('given the script for bash', () => {
  const script = scriptFor('bash');

  /** What bash offers for the last word, when the user presses the tab key. */
  function offered(folder: string, ...line: string[]): string[] {
    const program = `
      eval "$(cat)"
      # What bash does: it finds the function that is registered for the command, and calls it with three arguments.
      completer=$(complete -p vmm-metrics) || exit 1
      completer=\${completer#*-F } completer=\${completer%% *}
      COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=\${#COMP_LINE}
      "$completer" vmm-metrics "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD - 1]}"
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { status, stdout, stderr } = spawnSync('bash', ['--norc', '-c', program, 'bash', 'vmm-metrics', ...line], {
      ...{ cwd: folder, input: script, encoding: 'utf8' },
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return stdout.split('\n').filter((word) => word !== '');
  }

  test.skipIf(!has('bash')).each([
    { line: ['w'], words: ['watch'] },
    { line: ['--'], words: ['--help', '--version'] },
    { line: ['show', '--j'], words: ['--json'] },
    { line: ['plot', '-'], words: ['--output', '-o', '--title', '--points', '--help', '-h'] },
    { line: ['show', ''], words: ['a.tsv', 'vms of a'] },
    { line: ['plot', 'vms'], words: ['vms of a'] },
    { line: ['plot', 'a.tsv', '-o', 'vms of a/'], words: ['vms of a/x.tsv'] },
    { line: ['plot', 'a.tsv', '--output', '=', 'a'], words: ['a.tsv'] },
    { line: ['plot', '--title', ''], words: [] },
    { line: ['serve', '--detail', ''], words: ['vm', 'device'] },
    { line: ['serve', '--detail', '='], words: ['vm', 'device'] },
    { line: ['serve', '--name-from', 'p'], words: ['path'] },
    { line: ['completions', ''], words: ['bash', 'zsh', 'fish'] },
    { line: ['nothing', ''], words: [] },
  ])('when the line is $line, then bash offers $words', ({ line, words }) => {
    const folder = temporaryFolder();
    mkdirSync(`${folder}/vms of a`);
    for (const name of ['a.tsv', 'vms of a/x.tsv']) writeFileSync(`${folder}/${name}`, '');
    expect(offered(folder, ...line).sort()).toEqual([...words].sort());
  });
});

test.each(['bash', 'zsh', 'fish'])('given the script for %s, when it is read, then it has each command and each option', (shell) => {
  const script = scriptFor(shell);
  const commands = commandsInHelp();
  expect(commands.map(({ name }) => name)).toContain('completions');
  expect(commands.flatMap(({ options }) => options).length).toBeGreaterThan(20);
  for (const { name, options } of commands) {
    const own = script
      .split('\n')
      .filter((line) => line.includes(name))
      .join('\n');
    // In zsh, the options of a command are on the lines after its name.
    const text = shell === 'zsh' ? script.slice(script.indexOf(`    ${name}) `)).split(';;')[0]! : own;
    for (const option of options) expect(text, `${name} --${option}`).toContain(shell === 'fish' ? `-l ${option} ` : `--${option}`);
  }
  // Each option has a description.
  expect(script).not.toMatch(/\[\]|-d ''/);
});

for (const shell of ['bash', 'zsh', 'fish']) {
  test.skipIf(!has(shell))(`given ${shell}, when it reads its script, then it finds no mistake${because(shell)}`, () => {
    const file = join(temporaryFolder(), 'script');
    writeFileSync(file, scriptFor(shell));
    const { status, stderr } = spawnSync(shell, ['-n', file], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
}

test.skipIf(!has('fish'))(`given fish, when the user presses the tab key, then it offers what fits${because('fish')}`, () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'script'), scriptFor('fish'));
  const offered = (line: string) => {
    const source = `source ${folder}/script; complete -C '${line}'`;
    const { status, stdout } = spawnSync('fish', ['-c', source], { encoding: 'utf8', env: { ...process.env, HOME: folder } });
    expect(status).toBe(0);
    return stdout.trim().split('\n');
  };
  expect(offered('vmm-metrics sh')).toEqual(['show\tshow the metrics in region files']);
  expect(offered('vmm-metrics completions ')).toEqual(['bash', 'fish', 'zsh']);
  expect(offered('vmm-metrics show --hi')).toEqual(['--histogram\tdraw the distribution of a metric, for instance disk.read_us']);
});

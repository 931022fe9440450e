// Runs what a document prints, as its reader would: saves each program under the name that the text gives, and runs
// each command, in order, in a folder that contains only the packed package.

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';

import { shownBlocks, shownCommands } from '../helpers/shown-blocks.ts';

export const root = resolve(import.meta.dirname, '../..');
export const documentText = (document: string): string => readFileSync(join(root, document), 'utf8');

export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly isKilled: boolean;
}

/** A folder of a reader, and the folder of memory that stands for /dev/shm there. */
export interface Place {
  readonly folder: string;
  /** A path of the folder. */
  path(name: string): string;
  /** The first line of a file of the folder, parsed as JSON. */
  firstLineOf(file: string): unknown;
  /** Replaces the folders of the system in a text, because others may try the document at the same time. */
  printed(text: string): string;
  /** Runs a shell command in the folder. Rejects unless the command succeeds or is killed by SIGKILL. */
  run(line: string): Promise<Ran>;
}

/** Makes a place, and removes it after the tests of the file. */
export function place(): Place {
  const folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-reader-'));
  const memory = existsSync('/dev/shm') ? mkdtempSync('/dev/shm/vmm-metrics-reader-') : folder;
  afterAll(() => {
    for (const made of [folder, memory]) rmSync(made, { recursive: true, force: true });
  });
  const run = (line: string): Promise<Ran> => {
    const env = { HOME: process.env['HOME'], PATH: inject('tools'), npm_config_prefer_offline: 'true', npm_config_audit: 'false' };
    return new Promise((done, fail) => {
      execFile('/bin/sh', ['-c', line], { cwd: folder, env }, (error, stdout, stderr) => {
        const isKilled = error !== null && (error.signal === 'SIGKILL' || error.code === 137);
        if (error !== null && !isKilled) fail(new Error(`${line}\n${stdout}${stderr}`, { cause: error }));
        else done({ stdout, stderr, isKilled });
      });
    });
  };
  return {
    folder,
    path: (name) => join(folder, name),
    firstLineOf: (file) => JSON.parse(readFileSync(join(folder, file), 'utf8').split('\n')[0]!),
    printed: (text) =>
      text.replaceAll('/dev/shm/', `${memory}/`).replaceAll('/run/vmm', `${memory}/run`).replaceAll('/var/log/vmm', `${folder}/log`),
    run,
  };
}

/** Installs the packed package into a place before the tests. */
export function installed(there: Place): Place {
  beforeAll(async () => {
    writeFileSync(there.path('package.json'), '{ "name": "reader", "private": true }');
    await there.run(`npm install --no-fund ${inject('tarball')}`);
  });
  return there;
}

/** What a command must do; or, for a command that is not run, the reason. */
export type Expectation = ((ran: Ran) => void) | string;

/**
 * The tests of a document: each program is saved, and each command does what `commands` says, in the order of the
 * document. `commands` has exactly the commands that the document shows.
 */
export function testsOfDocument(document: string, there: Place, commands: Readonly<Record<string, Expectation>>): void {
  const text = documentText(document);
  for (const block of shownBlocks(text)) {
    const { file } = block;
    if (file !== undefined) {
      test(`when ${document} says to save ${file}, then it is saved`, () => {
        writeFileSync(there.path(file), there.printed(block.text));
      });
    } else if (block.language === 'sh') {
      for (const line of block.text.trimEnd().split('\n')) {
        const expectation = commands[line];
        if (typeof expectation === 'string') continue;
        test(`when \`${line}\` runs, then it does what ${document} says`, async () => {
          expect(Object.keys(commands)).toContain(line);
          expectation!(await there.run(there.printed(line)));
        });
      }
    }
  }

  test(`when the commands of ${document} are compared with those that are checked here, then they are the same`, () => {
    expect(shownCommands(text)).toEqual(Object.keys(commands));
  });
}

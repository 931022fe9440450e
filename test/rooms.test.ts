// The rooms of native/: which file may include which, and what a signal handler must not reach.

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

import { arrowsOfRooms } from './helpers/drawings.ts';
import { HANDLER_FILES } from './helpers/handler-files.ts';

/** From the bottom up. */
const ROOMS = ['base', 'region', 'exposition', 'kvm', 'flush', 'profile', 'crash', 'store', 'node'];

const root = fileURLToPath(new URL('../native/', import.meta.url));
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => /\.(cc|h)$/.test(file));

interface Include {
  readonly file: string;
  readonly room: string;
  readonly what: string;
}

const includes = files.flatMap((file): Include[] =>
  [...readFileSync(`${root}${file}`, 'utf8').matchAll(/^#include [<"]([^>"]+)[>"]/gm)].map(([, what]) => ({
    file,
    room: file.split('/')[0]!,
    what: what!,
  })),
);
const shown = ({ file, what }: Include) => `${file} includes ${what}`;

test('given the files of native/, when they are listed, then each file is in a room', () => {
  expect(files.filter((file) => !ROOMS.includes(file.split('/')[0]!))).toEqual([]);
  expect(files.length).toBeGreaterThan(80);
});

test('given an include, when it names a file of the project, then the file is in the same room or a lower one, and the include names the room', () => {
  const own = new Set(files);
  const names = new Set(files.map((file) => file.split('/')[1]));
  const above = includes.filter(({ room, what }) => own.has(what) && ROOMS.indexOf(what.split('/')[0]!) > ROOMS.indexOf(room));
  expect(above.map(shown)).toEqual([]);
  expect(includes.filter(({ what }) => names.has(what)).map(shown), 'each is named with its room').toEqual([]);
  expect(includes.filter(({ what }) => own.has(what)).length).toBeGreaterThan(150);
});

test('given the includes of Node-API, when they are looked up, then only files of node/ have them', () => {
  const api = includes.filter(({ what }) => /^(napi|node_api|node_api_types|js_native_api|uv|v8)\.h$/.test(what));
  expect(api.filter(({ room }) => room !== 'node').map(shown)).toEqual([]);
  expect(api.length).toBeGreaterThan(0);
});

/** The headers of the C++ library that have no strings, containers, streams, smart pointers, threads or locks. */
const ALLOWED_IN_HANDLER = ['atomic', 'initializer_list', 'new', 'type_traits', 'utility'];
/** The headers of the C library have names such as <stdio.h> or <cstdio>. */
const ofCppLibrary = (header: string) => /^[a-z_]+$/.test(header) && !/^c(errno|stddef|stdint|stdio|stdlib|string)$/.test(header);

/** Locks of the C library; <pthread.h> itself is needed for signal masks. */
const LOCK = /\b(pthread_(mutex|cond|rwlock|spin)|sem_|lockf)\w*/;

/** The files that the handler reaches, each with the chain of includes that leads to the file. */
function chainsFromHandler(): Map<string, string[]> {
  const own = new Set(files);
  const chains = new Map(HANDLER_FILES.map((file) => [file, [file]]));
  for (const [file, chain] of chains) {
    for (const { what } of includes.filter((include) => include.file === file)) {
      if (own.has(what) && !chains.has(what)) chains.set(what, [...chain, what]);
    }
  }
  return chains;
}

test('given the files that a signal handler can reach, when their includes are followed, then none uses a string, container, stream, thread or lock', () => {
  const chains = chainsFromHandler();
  const forbidden = includes.filter(({ file, what }) => chains.has(file) && ofCppLibrary(what) && !ALLOWED_IN_HANDLER.includes(what));
  expect(forbidden.map(({ file, what }) => [...chains.get(file)!, `<${what}>`].join(' -> '))).toEqual([]);
  const locking = [...chains.keys()].filter((file) => LOCK.test(readFileSync(`${root}${file}`, 'utf8')));
  expect(locking).toEqual([]);
  // The walk proves something only if it reaches the cells.
  for (const file of ['crash/capture.h', 'flush/sink.h', 'profile/sample_ring.h', 'region/cells.h', 'base/status.h']) {
    expect([...chains.keys()]).toContain(file);
  }
});

test('given the drawing of the rooms in docs/architecture.md, when its arrows are compared with the includes, then both are equal', () => {
  const drawn = arrowsOfRooms('rooms').map(({ from, to }) => `${from} -> ${to}`);
  const real = includes.filter(({ room, what }) => ROOMS.includes(what.split('/')[0]!) && what.split('/')[0] !== room);
  expect(drawn.sort()).toEqual([...new Set(real.map(({ room, what }) => `${room} -> ${what.split('/')[0]}`))].sort());
});

test('given the drawing of the parts of native/, when its arrows are followed, then each arrow is an include', () => {
  const nameOf = (file: string) => file.replace(/^\w+\/|\.\w+$/g, '');
  const real = new Set(includes.map(({ file, what }) => `${nameOf(file)} -> ${nameOf(what)}`));
  const drawn = arrowsOfRooms('native').map(({ from, to }) => `${from} -> ${to}`);
  expect(drawn.filter((arrow) => !real.has(arrow))).toEqual([]);
  expect(drawn.length).toBeGreaterThan(20);
});

// A terminal that a program runs in: the program gets a pseudo terminal from script(1), and xterm.js understands what
// the program writes.

import { spawn } from 'node:child_process';
import xterm from '@xterm/headless';

/** One cell of the screen. `colour` is a number of the palette, or undefined for the default. */
const cellOf = (cell) => ({
  text: cell.getChars() || ' ',
  colour: cell.isFgPalette() ? cell.getFgColor() : undefined,
  isBold: cell.isBold() !== 0,
  isDim: cell.isDim() !== 0,
  isInverse: cell.isInverse() !== 0,
});

/** Runs of cells that look alike: what one element of the picture shows. */
function runsOf(line, columns) {
  const runs = [];
  for (let x = 0; x < columns; x++) {
    const { text, ...style } = cellOf(line.getCell(x));
    const last = runs.at(-1);
    const isAlike = last !== undefined && JSON.stringify(last.style) === JSON.stringify(style);
    if (isAlike) last.text += text;
    else runs.push({ at: x, text, style });
  }
  return runs
    .filter(({ text, style }) => text.trim() !== '' || style.isInverse)
    .map((run) => ({ ...run, text: run.style.isInverse ? run.text : run.text.trimEnd() }));
}

/**
 * Runs a shell script in a terminal of this size, and looks at the screen every `everyMs`. `keys` are typed at their
 * times: `[[ms, 'q']]`. Resolves to the screens, each with the time since the start, without repetitions.
 */
export async function record({ file, cwd, env, columns, rows, keys = [], everyMs = 100 }) {
  const terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, convertEol: false });
  const child = spawn('script', ['-qefc', `stty cols ${columns} rows ${rows}; exec bash --norc ${file}`, '/dev/null'], {
    cwd,
    env: { ...process.env, ...env, TERM: 'xterm-256color' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdout.on('data', (data) => terminal.write(data));
  const began = Date.now();
  const timers = keys.map(([ms, key]) => setTimeout(() => child.stdin.write(key), ms));
  const screens = [];
  const look = () => {
    const { active } = terminal.buffer;
    const lines = Array.from({ length: rows }, (_, y) => runsOf(active.getLine(active.viewportY + y), columns));
    const key = JSON.stringify(lines);
    if (key !== screens.at(-1)?.key) screens.push({ ms: Date.now() - began, key, lines });
  };
  const watch = setInterval(look, everyMs);
  const code = await new Promise((done, fail) => child.on('error', fail).on('close', done));
  await new Promise((done) => terminal.write('', done));
  clearInterval(watch);
  timers.forEach(clearTimeout);
  look();
  if (code !== 0) throw new Error(`the recorded script ended with exit code ${code}`);
  return { screens, ms: Date.now() - began };
}

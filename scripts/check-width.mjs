// Comments and Markdown are at most 120 columns wide. Code has its own formatters; tables, links and literal blocks
// cannot be wrapped.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const MOST = 120;
const listed = spawnSync('git', ['ls-files', '*.md', '*.ts', '*.mjs', '*.cc', '*.h', '*.c'], { encoding: 'utf8' }).stdout;
let tooWide = 0;
for (const file of listed.split('\n').filter(Boolean)) {
  const isMarkdown = file.endsWith('.md');
  let isLiteral = false;
  for (const [i, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    if (isMarkdown && line.startsWith('```')) isLiteral = !isLiteral;
    const isProse = isMarkdown ? !isLiteral && !/^(\|| {4})/.test(line) : /^\s*(\/\/|\/\*\*|\*) /.test(line);
    if (!isProse || line.length <= MOST || /biome-ignore/.test(line)) continue;
    console.log(`${file}:${i + 1}: ${line.length} columns, at most ${MOST}`);
    tooWide++;
  }
}
process.exitCode = tooWide === 0 ? 0 : 1;

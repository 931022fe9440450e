// Screens of a terminal as one SVG. Each row of each screen is drawn once, and shown while the recording has it. A
// viewer without animations sees the last screen.

const WIDTH = 8.4; // of a character, in pixels
const HEIGHT = 18; // of a row
const MARGIN = 14;
const BAR = 26;
const INK = '#d6deeb';
const PAPER = '#0f1720';
const DIM = '#8a99a8';
/** The palette's first 16 colours. */
const COLOURS =
  '#44525f #ff6b6b #6bd68f #f2c94c #6ea8fe #c792ea #5ccfe6 #d6deeb #7b8a99 #ff8787 #8ce99a #ffe066 #91c4ff #d7a8f5 #8be9fd #ffffff'.split(
    ' ',
  );

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const fixed = (n) => `${Math.round(n * 10) / 10}`;

function run({ at, text, style }) {
  const { colour, isBold, isDim, isInverse } = style;
  const ink = colour === undefined ? (isDim ? DIM : INK) : (COLOURS[colour] ?? INK);
  const x = fixed(MARGIN + at * WIDTH);
  const length = fixed(text.length * WIDTH);
  const box = isInverse ? `<rect x="${x}" y="-13.5" width="${length}" height="${HEIGHT}" fill="${ink}"/>` : '';
  const weight = isBold ? ' font-weight="700"' : '';
  return `${box}<text x="${x}" textLength="${length}" fill="${isInverse ? PAPER : ink}"${weight}>${escaped(text)}</text>`;
}

/**
 * The picture. `screens` come from record(); the last one stays for `holdMs`, and then the recording begins again. One
 * screen alone makes a still picture.
 */
export function svgOf({ screens, ms }, { columns, rows, title, holdMs = 4000 }) {
  const totalMs = ms + holdMs;
  const parts = [];
  for (let y = 0; y < rows; y++) {
    let from = 0;
    for (let i = 0; i < screens.length; i++) {
      const row = JSON.stringify(screens[i].lines[y]);
      if (i + 1 < screens.length && JSON.stringify(screens[i + 1].lines[y]) === row) continue;
      const begin = from === 0 ? 0 : screens[from].ms;
      const isLast = i + 1 === screens.length;
      const end = isLast ? totalMs : screens[i + 1].ms;
      from = i + 1;
      if (row === '[]') continue;
      const text = JSON.parse(row).map(run).join('');
      const at = `transform="translate(0 ${BAR + MARGIN + 4 + y * HEIGHT})"`;
      const seconds = (value) => `${(value / 1000).toFixed(1)}s`;
      if (isLast && begin === 0) parts.push(`<g ${at}>${text}</g>`);
      else if (isLast)
        parts.push(`<g ${at}>${text}<set attributeName="visibility" to="hidden" begin="m.begin" dur="${seconds(begin)}"/></g>`);
      else
        parts.push(
          `<g ${at} visibility="hidden">${text}<set attributeName="visibility" to="visible" begin="m.begin+${seconds(begin)}" dur="${seconds(end - begin)}"/></g>`,
        );
    }
  }
  const width = Math.ceil(2 * MARGIN + columns * WIDTH);
  const height = BAR + 2 * MARGIN + rows * HEIGHT;
  const clock =
    screens.length > 1
      ? `<animate id="m" attributeName="opacity" from="1" to="1" begin="0s;m.end" dur="${(totalMs / 1000).toFixed(1)}s"/>`
      : '';
  const dots = ['#ff6b6b', '#f2c94c', '#6bd68f']
    .map((fill, i) => `<circle cx="${18 + 16 * i}" cy="${BAR / 2 + 2}" r="4.5" fill="${fill}"/>`)
    .join('');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="14">
<title>${escaped(title)}</title>
<style>text{white-space:pre}</style>
<rect width="${width}" height="${height}" rx="8" fill="${PAPER}">${clock}</rect>
${dots}
${parts.join('\n')}
</svg>
`;
}

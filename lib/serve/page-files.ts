// The page of a host, as the files that a browser asks for. They contain nothing of the host, so they need no token.

import { readFileSync } from 'node:fs';

export interface PageFile {
  readonly contentType: string;
  readonly bytes: () => Buffer;
}

/** The page loads nothing from elsewhere, and talks to the agent alone. */
export const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** By path. The script is made from page/main.ts, and lies beside the agent. */
export const PAGE_FILES: ReadonlyMap<string, PageFile> = new Map([
  ['/', { contentType: 'text/html; charset=utf-8', bytes: once(() => Buffer.from(DOCUMENT)) }],
  ['/page.js', { contentType: 'text/javascript; charset=utf-8', bytes: once(() => readFileSync(new URL('page.js', import.meta.url))) }],
  ['/page.css', { contentType: 'text/css; charset=utf-8', bytes: once(() => Buffer.from(STYLE)) }],
]);

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

const DOCUMENT = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>vmm-metrics</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page.css">
<script src="page.js" defer></script>
</head>
<body>
<header id="top">
<h1><span id="host">vmm-metrics</span> <small id="shown"></small></h1>
<nav id="chips" aria-label="States"></nav>
<div class="bar">
<input id="search" type="search" placeholder="Filter  ( / )" aria-label="Filter virtual machines">
<select id="sort" aria-label="Order">
<option value="attention">dead first</option>
<option value="name">by name</option>
<option value="rate">busiest first</option>
<option value="newest">newest first</option>
</select>
</div>
<p id="lost" class="warning" role="status" hidden>The agent does not answer. Trying again …</p>
<form id="login" hidden><label>This agent needs its token: <input id="token" type="password" autocomplete="off"></label> <button>Open</button></form>
</header>
<main>
<div id="heads" class="row" aria-hidden="true"><div>state</div><div>name</div><div>what happened</div><div class="rate">events</div><div class="trend">last two minutes</div><div></div></div>
<div id="table" role="grid" aria-label="Virtual machines"></div>
<p id="empty" class="quiet" hidden></p>
<p id="others" class="quiet"></p>
</main>
<aside id="panel" aria-label="One virtual machine" hidden></aside>
</body>
</html>
`;

const STYLE = `
:root {
  color-scheme: light dark;
  --text: #1d2125; --quiet: #667079; --line: #e3e6e9; --paper: #fff; --raised: #f6f7f9; --accent: #2563c9;
  --running: #1a7f45; --closed: #68727b; --exited: #8a6100; --panicked: #b4500a; --crashed: #c32232; --killed: #8537b8; --unreadable: #8a6100;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e4e7ea; --quiet: #98a2ab; --line: #30363c; --paper: #15181b; --raised: #1d2125; --accent: #79a9f5;
    --running: #55c585; --closed: #98a2ab; --exited: #ddb04a; --panicked: #f09050; --crashed: #ff7480; --killed: #cb92f2; --unreadable: #ddb04a;
  }
}
* { box-sizing: border-box }
[hidden] { display: none !important }
html, body { height: 100% }
body { margin: 0; display: grid; grid-template: auto minmax(0, 1fr) / minmax(0, 1fr); font: 14px/1.4 system-ui, sans-serif; color: var(--text); background: var(--paper); font-variant-numeric: tabular-nums }
body.has-panel { grid-template-columns: minmax(0, 1fr) minmax(30rem, 42%) }
#top { grid-column: 1 / -1; padding: 0.8rem 1rem 0.7rem; border-bottom: 1px solid var(--line); display: flex; flex-wrap: wrap; gap: 0.5rem 1.2rem; align-items: center }
h1 { font-size: 1.15rem; margin: 0 }
h1 small { font-weight: 400; color: var(--quiet); font-size: 0.85rem; margin-left: 0.4rem }
nav { display: flex; flex-wrap: wrap; gap: 0.4rem; flex: 1 }
.bar { display: flex; gap: 0.5rem; align-items: center }
button, input, select { font: inherit; color: inherit }
button:focus-visible, input:focus-visible, select:focus-visible, .row:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px }
input[type=search], input[type=password], select { background: var(--raised); border: 1px solid var(--line); border-radius: 6px; padding: 0.35rem 0.6rem; min-height: 2.2rem; min-width: 0 }
#search { width: 16rem }
.chip { background: var(--raised); border: 1px solid var(--line); border-radius: 99px; padding: 0.2rem 0.8rem; min-height: 2rem; cursor: pointer; color: var(--quiet) }
.chip b { color: var(--c) }
.chip[aria-pressed=true] { border-color: var(--c); box-shadow: inset 0 0 0 1px var(--c); color: var(--text) }
[data-state=running] { --c: var(--running) } [data-state=closed] { --c: var(--closed) } [data-state=exited] { --c: var(--exited) }
[data-state=panicked] { --c: var(--panicked) } [data-state=crashed] { --c: var(--crashed) } [data-state=killed] { --c: var(--killed) }
[data-state=unreadable] { --c: var(--unreadable) }
.state { color: var(--c); font-weight: 600; white-space: nowrap }
.state::before { content: ''; display: inline-block; width: 0.55em; height: 0.55em; border-radius: 50%; background: var(--c); margin-right: 0.5em }
main { min-height: 0; min-width: 0; display: flex; flex-direction: column }
#table { --row: 40px; flex: 1; min-height: 0; overflow: auto; position: relative; scrollbar-gutter: stable }
.rows { position: relative }
.row { display: grid; grid-template-columns: 7rem minmax(9rem, 1.4fr) minmax(10rem, 1.4fr) 5.5rem 8rem 6rem; gap: 0 0.8rem; align-items: center; padding: 0 1rem; border-bottom: 1px solid var(--line) }
#table .row { position: absolute; inset: 0 0 auto; height: var(--row); cursor: pointer }
#heads { padding-block: 0.25rem; font-size: 0.8rem; color: var(--quiet); overflow: hidden; scrollbar-gutter: stable }
#table .row:hover { background: var(--raised) }
.row > * { overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.row small { color: var(--quiet); margin-left: 0.7em }
.rate { text-align: right }
.spark { width: 120px; height: 24px; display: block }
.spark path { fill: none; stroke: var(--accent); stroke-width: 1.3; vector-effect: non-scaling-stroke }
.pending { color: var(--panicked) }
.quiet { color: var(--quiet); margin: 0.4rem 1rem }
#empty { padding: 2rem 0; text-align: center }
#others:empty { display: none }
.warning { color: var(--crashed); margin: 0; width: 100% }
#panel { border-left: 1px solid var(--line); overflow: auto; background: var(--paper); min-width: 0 }
#panel header { position: sticky; top: 0; z-index: 1; background: var(--paper); display: flex; gap: 0.8rem; align-items: center; padding: 0.6rem 1rem; border-bottom: 1px solid var(--line) }
#panel h2 { font-size: 1.1rem; margin: 0; flex: 1; overflow-wrap: anywhere }
.close { border: 0; background: none; cursor: pointer; min-width: 2.4rem; min-height: 2.4rem; border-radius: 6px }
.close:hover { background: var(--raised) }
dl { display: grid; grid-template-columns: auto 1fr; gap: 0.25rem 1rem; margin: 0.8rem 1rem }
dt { color: var(--quiet) }
dd { margin: 0; overflow-wrap: anywhere }
.flush { margin: 0.8rem 1rem }
.flush p { margin: 0.4rem 0 }
.flush pre { background: var(--raised); border: 1px solid var(--line); border-radius: 6px; padding: 0.5rem 0.7rem; margin: 0.3rem 0; white-space: pre-wrap; overflow-wrap: anywhere }
.flush button, #login button { background: var(--raised); border: 1px solid var(--line); border-radius: 6px; padding: 0.3rem 0.8rem; cursor: pointer }
.flush ul { max-height: 12rem; overflow: auto; padding-left: 1.2rem; margin: 0.4rem 0 }
#panel .bar { padding: 0 1rem 0.6rem; flex-wrap: wrap }
#panel .bar input[type=search] { flex: 1 }
section { margin: 0 0 0.8rem }
h3 { font-size: 0.85rem; color: var(--quiet); font-weight: 600; margin: 0; padding: 0.3rem 1rem; background: var(--raised); overflow-wrap: anywhere }
.metric { width: 100%; display: grid; grid-template-columns: minmax(6rem, 1fr) 72px 4.5rem 12.5rem; align-items: center; gap: 0.8rem; padding: 0.25rem 1rem; border: 0; border-bottom: 1px solid var(--line); background: none; text-align: left; cursor: pointer }
.metric:hover { background: var(--raised) }
.metric .name { overflow-wrap: anywhere }
.metric .rate { color: var(--quiet); text-align: right }
.metric .value { text-align: right }
.mini { height: 18px }
.mini svg { width: 72px; height: 18px; margin: 0; border: 0 }
.edges { display: flex; justify-content: space-between; font-size: 0.8rem; color: var(--quiet); margin: 0 !important }
.detail { padding: 0.4rem 1rem 0.8rem; background: var(--raised) }
.detail p { margin: 0.2rem 0 }
.detail code { color: var(--quiet) }
.chart, .bars { width: 100%; height: 80px; display: block; margin-top: 0.5rem }
.bars path { fill: var(--accent); stroke: none }
.chart { border-bottom: 1px solid var(--line) }
.has-panel .row { grid-template-columns: 6.5rem minmax(6rem, 1fr) minmax(8rem, 1.6fr) 5rem 5.5rem }
.has-panel .trend, .has-panel .row .name small { display: none }
@media (max-width: 60rem) {
  body.has-panel { grid-template-columns: minmax(0, 1fr) }
  #panel { position: fixed; inset: 0; z-index: 5; border: 0 }
}
@media (max-width: 48rem) {
  #top { padding: 0.6rem 0.8rem }
  .bar, #search { width: 100% }
  nav { flex-basis: 100%; flex-wrap: nowrap; overflow-x: auto; scrollbar-width: none; margin: 0 -0.8rem; padding: 2px 0.8rem }
  .chip { white-space: nowrap }
  #search { flex: 1 }
  #table { --row: 64px }
  #heads { display: none }
  #table .row { grid-template: auto auto / auto minmax(0, 1fr) auto; gap: 0 0.7rem; align-content: center; padding: 0 0.8rem }
  .row .state { grid-area: 1 / 1 } .row .name { grid-area: 1 / 2 } .row .rate { grid-area: 1 / 3 }
  .row .fate { grid-area: 2 / 1 / 3 / 3; color: var(--quiet) } .row .pending, .row .trend { grid-area: 2 / 3 }
  .row .trend { justify-self: end } .row .pending:empty, .row:has(.pending:not(:empty)) .trend { display: none }
  .trend .spark { width: 80px }
  .row .name small { display: none }
  .metric { grid-template-columns: minmax(0, 1fr) auto 4.5rem; gap: 0 0.8rem }
  .metric .name { grid-area: 1 / 1 } .metric .value { grid-area: 1 / 2 / 2 / 4 }
  .metric .mini { grid-area: 2 / 1 } .metric .rate { grid-area: 2 / 2 / 3 / 4 }
}
`;

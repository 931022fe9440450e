// The style of a profile's page, for light and dark screens, wide ones and phones.

export const PAGE_STYLE = `
:root { color-scheme: light dark; --ink: #1d2329; --soft: #5c6670; --paper: #fff; --line: #d9dee3; --accent: #2563b8; --over: #f2f6fc }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 80rem; padding: 0.9rem 1rem 2rem; font: 14px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper) }
h1 { font-size: 1.25rem; line-height: 1.25; margin: 0 0 0.3rem; overflow-wrap: anywhere }
p { margin: 0.2rem 0; color: var(--soft); overflow-wrap: anywhere }
nav { position: sticky; top: 0; z-index: 200; display: flex; flex-wrap: wrap; align-items: center; gap: 0.35rem; margin: 0.5rem 0; padding: 0.45rem 0; background: var(--paper); border-bottom: 1px solid var(--line) }
button { font: inherit; color: inherit; cursor: pointer }
button:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px }
nav button { min-height: 2.1rem; min-width: 2.4rem; padding: 0 0.75rem; color: var(--accent); background: var(--over); border: 1px solid transparent; border-radius: 0.45rem; font-weight: 500 }
nav button:hover { border-color: var(--accent) }
nav button:active { color: var(--paper); background: var(--accent) }
details { margin-left: auto; color: var(--soft) }
details[open] { flex-basis: 100%; margin: 0 }
summary { cursor: pointer; padding: 0.2rem }
figure { margin: 0 0 1rem }
figcaption { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0.1rem 0.5rem; margin: 0.4rem 0 0.2rem }
.title { font-weight: 650; overflow-wrap: anywhere }
.unit, .note { color: var(--soft) }
.note { font-size: 12px }
.legend { display: flex; flex-wrap: wrap; gap: 0 0.15rem; margin-left: auto; max-height: 6rem; overflow: auto }
.legend button { display: inline-flex; align-items: center; gap: 0.35rem; padding: 0.1rem 0.4rem; border: 0; border-radius: 0.35rem; background: none; font-size: 13px; overflow-wrap: anywhere; text-align: left }
.legend button::before, .readings div::before { content: ''; flex: none; width: 0.7rem; height: 0.7rem; border-radius: 0.2rem; background: var(--color); border: 2px solid var(--color) }
.legend button:hover { background: var(--over) }
.legend button[aria-pressed='false'] { color: var(--soft) }
.legend button[aria-pressed='false']::before { background: none }
.plot { position: relative; overflow: hidden }
.plot[hidden], .readings[hidden] { display: none }
.readings { position: absolute; top: 0.6rem; right: 0.8rem; z-index: 150; max-width: 46%; padding: 0.3rem 0.55rem; font-size: 12px; font-variant-numeric: tabular-nums; pointer-events: none; background: color-mix(in srgb, var(--paper) 90%, transparent); border: 1px solid var(--line); border-radius: 0.4rem }
.readings.left { left: 4.4rem; right: auto }
.readings div { display: flex; align-items: center; gap: 0.35rem; overflow-wrap: anywhere }
.readings b { margin-left: auto; padding-left: 0.6rem; font-weight: 600; text-align: right }
/* The edges of a band are series of their own to uPlot, without a point under the cursor. */
.edge { display: none }
.wide { overflow-x: auto }
.totals { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px }
.totals th, .totals td { padding: 0.15rem 0.7rem; text-align: right; border-bottom: 1px solid var(--line) }
.totals thead th { color: var(--soft); font-weight: 500 }
.totals th:first-child { text-align: left; font-weight: 400; overflow-wrap: anywhere; padding-left: 0 }
.totals td { white-space: nowrap }
.totals tbody tr:hover { background: var(--over) }
@media (max-width: 50rem) {
  body { padding: 0.7rem 0.7rem 2rem }
  nav button { min-height: 2.5rem; padding: 0 0.6rem }
  .legend { margin-left: 0; flex-basis: 100% }
  .legend button { min-height: 2.2rem; padding: 0 0.5rem 0 0 }
  .readings { max-width: 70% }
  .totals thead { display: none }
  .totals, .totals tbody { display: block }
  .totals tr { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: 0.3rem 0; border-bottom: 1px solid var(--line) }
  .totals th, .totals td { padding: 0; border: 0 }
  .totals th { flex-basis: 100% }
  .totals td:empty { display: none }
  .totals td::before { content: attr(data-of) ' '; color: var(--soft) }
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #dfe3e7; --soft: #98a2ad; --paper: #15181b; --line: #2d3338; --accent: #7fb0ff; --over: #1d2732 }
  .u-select { background: #fff3 }
}
`;

/// <reference lib="dom" />
// What runs in the page. The page contains the text of showProfile() and of the functions that are passed to it, so
// each of these functions uses nothing from outside itself.

import type { ChartTools, drawChart, PlotConstructor } from './chart.ts';
import type { TimeRange } from './lines.ts';
import type { ProfileSeries } from './series.ts';

/** Functions that the page has as text. */
export interface PageTools extends ChartTools {
  readonly drawChart: typeof drawChart;
  readonly followFingers: typeof followFingers;
}

/** Draws all charts, and connects the buttons, the mouse and touches. All charts show the same range of time. */
export function showProfile(UPlot: PlotConstructor, tools: PageTools, profile: ProfileSeries): void {
  const { times, charts } = profile;
  const begin = times[0] ?? 0;
  const end = times.at(-1) ?? 1;
  const whole: TimeRange = { min: begin, max: end > begin ? end : begin + 1 };
  let range = whole;

  const shows: ((range: TimeRange) => void)[] = [];
  const show = (min: number, max: number) => {
    const width = Math.min(Math.max(max - min, (whole.max - whole.min) / 1e6), whole.max - whole.min);
    const from = Math.min(Math.max(min, whole.min), whole.max - width);
    range = { min: from, max: from + width };
    for (const showChart of shows) showChart(range);
  };
  const showWhole = () => show(whole.min, whole.max);
  /** `place` goes from 0, the left edge, to 1, the right one. The time at this place does not move. */
  const zoom = (factor: number, place: number) => {
    const width = (range.max - range.min) * factor;
    const middle = range.min + (range.max - range.min) * place;
    show(middle - width * place, middle + width * (1 - place));
  };
  /** Moves the range by a part of its length. */
  const move = (part: number) => show(range.min + (range.max - range.min) * part, range.max + (range.max - range.min) * part);

  const root = document.getElementById('charts')!;
  for (const chart of charts) {
    const frame = document.createElement('figure');
    const caption = document.createElement('figcaption');
    caption.textContent = `${chart.title} · ${chart.unit}`;
    if (chart.note !== undefined) {
      const note = document.createElement('div');
      note.className = 'note';
      note.textContent = chart.note;
      caption.append(note);
    }
    frame.append(caption);
    root.append(frame);
    const { plot, show: showChart } = tools.drawChart(UPlot, tools, chart, { times, frame, range: () => range, select: show });
    shows.push(showChart);
    plot.over.addEventListener('dblclick', showWhole);
    tools.followFingers(plot.over, move, zoom);
  }
  showWhole();

  const actions: Record<string, () => void> = {
    in: () => zoom(0.5, 0.5),
    out: () => zoom(2, 0.5),
    left: () => move(-0.4),
    right: () => move(0.4),
    all: showWhole,
  };
  for (const button of document.querySelectorAll('button')) button.addEventListener('click', () => actions[button.value]?.());
}

/** One finger moves along the time, two fingers zoom. The page itself still scrolls up and down. */
export function followFingers(element: HTMLElement, move: (part: number) => void, zoom: (factor: number, place: number) => void): void {
  element.style.touchAction = 'pan-y';
  let before: Touch[] = [];
  const places = (touches: Touch[]) => touches.map((touch) => touch.clientX).sort((a, b) => a - b);
  element.addEventListener('touchstart', (event) => (before = [...event.touches]), { passive: true });
  element.addEventListener(
    'touchmove',
    (event) => {
      const now = [...event.touches];
      const { left, width } = element.getBoundingClientRect();
      const [a = 0, b = 0] = places(before);
      const [c = 0, d = 0] = places(now);
      if (now.length === 1 && before.length === 1) move((a - c) / width);
      if (now.length === 2 && before.length === 2 && d - c > 10) zoom((b - a) / (d - c), ((c + d) / 2 - left) / width);
      before = now;
    },
    { passive: true },
  );
}

/// <reference lib="dom" />
// What runs in the page. The page contains the text of showProfile() and of the functions that are passed to it, so
// each of these functions uses nothing from outside itself.

import type { ChartTools, drawChart } from './chart.ts';
import type { drawHeatChart, HeatTools } from './heat-chart.ts';
import type { TimeRange } from './lines.ts';
import type { ChartView, Drawn, PlotConstructor } from './plot-frame.ts';
import type { ProfileSeries } from './series.ts';

/** Functions that the page has as text. */
export interface PageTools extends ChartTools, HeatTools {
  readonly drawChart: typeof drawChart;
  readonly drawHeatChart: typeof drawHeatChart;
  readonly followFingers: typeof followFingers;
}

/** Draws all charts, and connects the buttons, the mouse and touches. All charts show the same range of time. */
export function showProfile(UPlot: PlotConstructor, tools: PageTools, profile: ProfileSeries): void {
  const { times, charts, heatMaps } = profile;
  const edges = [...times, ...heatMaps.map((map) => map.edges)].flatMap((all) => [all[0] ?? 0, all.at(-1) ?? 1]);
  const [begin, end] = [Math.min(...edges), Math.max(...edges)];
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
  const add = (title: string, unit: string, note: string | undefined, draw: (view: ChartView) => Drawn) => {
    const figure = document.createElement('figure');
    const caption = document.createElement('figcaption');
    const frame = document.createElement('div');
    for (const [className, text] of Object.entries({ title, unit, note })) {
      if (text === undefined) continue;
      const part = document.createElement('span');
      part.className = className;
      part.textContent = text;
      caption.append(part);
    }
    frame.className = 'plot';
    figure.append(caption, frame);
    root.append(figure);
    const { plot, show: showChart } = draw({ caption, frame, range: () => range, select: show });
    shows.push(showChart);
    plot.over.addEventListener('dblclick', showWhole);
    tools.followFingers(plot.over, move, zoom);
  };
  const heatNote = 'stronger colour: more values; lines: median and 99th percentile';
  for (const map of heatMaps) add(map.title, 'distribution', heatNote, (view) => tools.drawHeatChart(UPlot, tools, map, view));
  for (const chart of charts) add(chart.title, chart.unit, chart.note, (view) => tools.drawChart(UPlot, tools, chart, times, view));
  showWhole();

  const actions: Record<string, () => void> = {
    in: () => zoom(0.5, 0.5),
    out: () => zoom(2, 0.5),
    left: () => move(-0.4),
    right: () => move(0.4),
    all: showWhole,
  };
  for (const button of document.querySelectorAll<HTMLButtonElement>('nav button'))
    button.addEventListener('click', () => actions[button.value]?.());
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

/// <reference lib="dom" />
// A chart of the page: lines, bands and a legend, drawn by uPlot. The page takes drawChart() as text, so the function
// uses nothing from outside itself.

import type { bucketsOf } from './buckets.ts';
import type { dashesOf, linesOf, TimeRange } from './lines.ts';
import type { Chart } from './series.ts';

/** What the page uses of uPlot. */
export interface Plot {
  readonly series: { dash?: readonly number[] }[];
  readonly select: { left: number; width: number };
  readonly over: HTMLElement;
  posToVal(position: number, scale: string): number;
  setData(data: unknown[], resetScales: boolean): void;
  setScale(scale: string, range: TimeRange): void;
  setSelect(select: { left: number; width: number; top: number; height: number }, callHook: boolean): void;
  setSeries(series: number, options: { show: boolean }): void;
  setSize(size: { width: number; height: number }): void;
}
export type PlotConstructor = new (options: object, data: unknown[], root: HTMLElement) => Plot;

/** The functions that drawChart() calls. */
export interface ChartTools {
  readonly bucketsOf: typeof bucketsOf;
  readonly linesOf: typeof linesOf;
  readonly dashesOf: typeof dashesOf;
}

/** The page around a chart. */
export interface ChartView {
  readonly times: readonly number[];
  /** The frame of the chart; its width is that of the chart. */
  readonly frame: HTMLElement;
  /** The range of time that the charts show now. */
  range(): TimeRange;
  /** Called when the user has selected a range. */
  select(min: number, max: number): void;
}

/** Draws a chart. Returns the plot, and the function that shows another range of time in it. */
export function drawChart(
  UPlot: PlotConstructor,
  { bucketsOf, linesOf, dashesOf }: ChartTools,
  chart: Chart,
  { times, frame, range, select }: ChartView,
): { readonly plot: Plot; show(range: TimeRange): void } {
  const isDark = matchMedia('(prefers-color-scheme: dark)').matches;
  const colors = isDark
    ? ['#6ea8fe', '#ff9f4a', '#4fcf8a', '#ff7a8a', '#b79bff', '#3fd0dd', '#f08cd0', '#d9c04a']
    : ['#2563b8', '#d4680a', '#178a4f', '#c2314b', '#7b4bc0', '#0b8896', '#b0478f', '#857312'];
  const colorOf = (i: number) => colors[i % colors.length]!;
  const ink = getComputedStyle(document.body).color;
  const grid = { stroke: 'rgba(128,128,128,.25)', width: 1 };
  const height = 280;
  const count = chart.series.length;
  // The more bands may overlap, the fainter each band is.
  const opacity = count > 3 ? '24' : '33';

  const shortNumber = (value: number) => {
    const steps = [
      [1e18, 'E'],
      [1e15, 'P'],
      [1e12, 'T'],
      [1e9, 'G'],
      [1e6, 'M'],
      [1e3, 'k'],
    ] as const;
    for (const [size, letter] of steps) if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(4))}${letter}`;
    return String(Number(value.toPrecision(4)));
  };
  const seconds = (value: number) => `${Number(value.toPrecision(9))} s`;

  let drawn = linesOf(bucketsOf, times, chart, range(), frame.clientWidth);
  // uPlot's series: the time, the edges of all bands, and then, in front of the bands, the lines.
  const highOf = (i: number) => 1 + 2 * i;
  const lowOf = (i: number) => 2 + 2 * i;
  const lineOf = (i: number) => 1 + 2 * count + i;
  const dataOf = () => [drawn.times, ...drawn.lines.flatMap(({ high, low }) => [high, low]), ...drawn.lines.map(({ mean }) => mean)];
  const edge = { class: 'edge', width: 0, points: { show: false } };

  // A line needs two points: a point with gaps on both sides is a dot.
  const dotsOf = (values: readonly (number | null)[]) => {
    const isGap = (value: number | null | undefined) => value === null || value === undefined;
    return [...values.keys()].filter((i) => !isGap(values[i]) && isGap(values[i - 1]) && isGap(values[i + 1]));
  };
  const unit = chart.shortUnit === '' || chart.shortUnit.startsWith('/') ? chart.shortUnit : ` ${chart.shortUnit}`;
  const valueText = (i: number, at: number | null) => {
    const { mean, low, high } = drawn.lines[i]!;
    const value = at === null ? null : mean[at];
    if (at === null || value === null || value === undefined) return '–';
    const text = `${shortNumber(value)}${unit}`;
    return low[at] === high[at] ? text : `${text} (${shortNumber(low[at]!)} to ${shortNumber(high[at]!)})`;
  };

  const plot = new UPlot(
    {
      width: frame.clientWidth,
      height,
      cursor: { sync: { key: 'profile' }, drag: { x: true, y: false, setScale: false } },
      scales: { x: { time: false, range: (_plot: unknown, min: number, max: number) => [min, max] } },
      axes: [
        { stroke: ink, grid, ticks: grid, values: (_plot: unknown, ticks: number[]) => ticks.map(seconds) },
        { stroke: ink, grid, ticks: grid, size: 60, values: (_plot: unknown, ticks: number[]) => ticks.map(shortNumber) },
      ],
      bands: chart.series.map((_, i) => ({ series: [highOf(i), lowOf(i)], fill: `${colorOf(i)}${opacity}` })),
      series: [
        { label: 'time', value: (_plot: unknown, value: number | null) => (value === null ? '–' : seconds(value)) },
        ...chart.series.flatMap(() => [edge, { ...edge }]),
        ...chart.series.map(({ name }, i) => ({
          label: name.startsWith(`${chart.title}.`) ? name.slice(chart.title.length + 1) : name,
          stroke: colorOf(i),
          width: 2,
          points: {
            fill: colorOf(i),
            filter: (_plot: unknown, _series: number, areAllShown: boolean) => (areAllShown ? null : dotsOf(drawn.lines[i]!.mean)),
          },
          value: (_plot: unknown, _value: unknown, _series: number, at: number | null) => valueText(i, at),
        })),
      ],
      hooks: {
        setSelect: [
          (selected: Plot) => {
            const { left, width } = selected.select;
            if (width > 0) select(selected.posToVal(left, 'x'), selected.posToVal(left + width, 'x'));
            selected.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          },
        ],
        // A band is hidden and shown with its line.
        setSeries: [
          (changed: Plot, series: number | null, options: { show?: boolean }) => {
            const i = (series ?? 0) - lineOf(0);
            if (i < 0 || options.show === undefined) return;
            for (const other of [highOf(i), lowOf(i)]) changed.setSeries(other, { show: options.show });
          },
        ],
      },
    },
    dataOf(),
    frame,
  );
  const show = (shown: TimeRange) => {
    drawn = linesOf(bucketsOf, times, chart, shown, plot.over.clientWidth);
    dashesOf(drawn, colors.length).forEach((dash, i) => {
      const line = plot.series[lineOf(i)]!;
      if (dash === undefined) delete line.dash;
      else line.dash = dash;
    });
    plot.setData(dataOf(), false);
    plot.setScale('x', shown);
  };
  // The chart keeps the width of its frame, also when a phone is turned.
  new ResizeObserver(() => {
    plot.setSize({ width: frame.clientWidth, height });
    show(range());
  }).observe(frame);
  return { plot, show };
}

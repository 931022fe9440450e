/// <reference lib="dom" />
// A chart of the page: lines, bands and a legend, drawn by uPlot. The page takes drawChart() as text, so the function
// uses nothing from outside itself.

import type { bucketsOf } from './buckets.ts';
import type { drawLegend, drawReadings } from './legend.ts';
import type { dashesOf, linesOf, TimeRange } from './lines.ts';
import type { lookOfPage } from './look.ts';
import type { shortNumber } from './number-text.ts';
import type { ChartView, Drawn, keepWidth, Plot, PlotConstructor, plotOptions, secondsText } from './plot-frame.ts';
import type { Chart } from './series.ts';

/** The functions that drawChart() calls. */
export interface ChartTools {
  readonly bucketsOf: typeof bucketsOf;
  readonly linesOf: typeof linesOf;
  readonly dashesOf: typeof dashesOf;
  readonly drawLegend: typeof drawLegend;
  readonly drawReadings: typeof drawReadings;
  readonly lookOfPage: typeof lookOfPage;
  readonly shortNumber: typeof shortNumber;
  readonly secondsText: typeof secondsText;
  readonly plotOptions: typeof plotOptions;
  readonly keepWidth: typeof keepWidth;
}

/** Draws a chart. */
export function drawChart(
  UPlot: PlotConstructor,
  tools: ChartTools,
  chart: Chart,
  times: readonly (readonly number[])[],
  view: ChartView,
): Drawn {
  const { bucketsOf, linesOf, dashesOf, shortNumber, secondsText } = tools;
  const look = tools.lookOfPage();
  const { colors, height } = look;
  const { caption, frame, range } = view;
  const colorOf = (i: number) => colors[i % colors.length]!;
  const { series } = chart;
  const count = series.length;
  // The more bands may overlap, the fainter each band is.
  const opacity = count > 3 ? '24' : '33';

  let drawn = linesOf(bucketsOf, times, chart, range(), frame.clientWidth);
  // uPlot's series: the time, the edges of all bands, and then, in front of the bands, the lines.
  const highOf = (i: number) => 1 + 2 * i;
  const lowOf = (i: number) => 2 + 2 * i;
  const lineOf = (i: number) => 1 + 2 * count + i;
  const isShown = series.map(({ extreme }) => extreme === undefined);
  /** An extreme is at its latest value, which is the most extreme one, and has no band. */
  const valuesOf = (i: number) => {
    const { mean, low, high } = drawn.lines[i]!;
    const { extreme } = series[i]!;
    if (extreme === undefined) return { line: mean, low, high };
    const line = extreme === 'max' ? high : low;
    return { line, low: line, high: line };
  };
  const dataOf = () => {
    const values = series.map((_, i) => valuesOf(i));
    return [drawn.times, ...values.flatMap(({ high, low }) => [high, low]), ...values.map(({ line }) => line)];
  };

  // A line needs two points: a point with gaps on both sides is a dot. Where a value is undefined, only another line
  // has a point, and the line goes on.
  const dotsOf = (values: readonly (number | null | undefined)[]) => {
    const own = [...values.keys()].filter((i) => values[i] !== undefined);
    const isGap = (value: number | null | undefined) => value === null || value === undefined;
    return own.filter((i, k) => !isGap(values[i]) && isGap(values[own[k - 1]!]) && isGap(values[own[k + 1]!]));
  };
  const { shortUnit } = chart;
  const unit = shortUnit === '' || shortUnit === '%' || shortUnit.startsWith('/') ? shortUnit : ` ${shortUnit}`;
  /** The value at a point; where the line has no point, the one before. */
  const valueText = (i: number, point: number) => {
    const { line, low, high } = valuesOf(i);
    let at = point;
    while (at > 0 && line[at] === undefined) at--;
    const value = line[at];
    if (value === null || value === undefined) return '–';
    const text = `${shortNumber(value)}${unit}`;
    return low[at] === high[at] ? text : `${text} (${shortNumber(low[at]!)} to ${shortNumber(high[at]!)})`;
  };
  const read = (plot: Plot) => {
    const { idx, left = 0 } = plot.cursor;
    const isOver = idx !== null && idx !== undefined && left >= 0;
    const readings = series.map(({ label }, i) => ({ label, color: colorOf(i), text: isOver ? valueText(i, idx) : '' }));
    showReadings(
      isOver ? { left, width: plot.over.clientWidth } : undefined,
      isOver ? secondsText(drawn.times[idx]!) : '',
      readings.filter((_, i) => isShown[i]),
    );
  };

  const edge = { class: 'edge', width: 0, points: { show: false } };
  const yValues = (_plot: unknown, ticks: number[]) => ticks.map((tick) => `${shortNumber(tick)}${shortUnit === '%' ? '%' : ''}`);
  const options = tools.plotOptions(look, view, secondsText, { yAxis: { values: yValues } });
  const plot = new UPlot(
    {
      ...options,
      bands: series.map((_, i) => ({ series: [highOf(i), lowOf(i)], fill: `${colorOf(i)}${opacity}` })),
      series: [
        {},
        ...series.flatMap((_, i) => [edge, edge].map((one) => ({ ...one, show: isShown[i] }))),
        ...series.map(({ label, extreme }, i) => ({
          label,
          show: isShown[i],
          stroke: colorOf(i),
          width: 2,
          ...(extreme !== undefined && { paths: UPlot.paths.stepped({ align: 1 }) }),
          points: {
            fill: colorOf(i),
            filter: (_plot: unknown, _series: number, areAllShown: boolean) => (areAllShown ? null : dotsOf(valuesOf(i).line)),
          },
        })),
      ],
      hooks: { ...options.hooks, setCursor: [read] },
    },
    dataOf(),
    frame,
  );
  const showReadings = tools.drawReadings(frame);
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
  // A chart without any line takes no room.
  const hideIfEmpty = () => {
    frame.hidden = !isShown.includes(true);
  };
  const toggle = (i: number, isOn: boolean) => {
    isShown[i] = isOn;
    hideIfEmpty();
    // A band is hidden and shown with its line.
    for (const one of [highOf(i), lowOf(i), lineOf(i)]) plot.setSeries(one, { show: isOn });
  };
  /** Makes all lines but one faint, with their bands. */
  const point = (item: number | undefined) => {
    series.forEach((_, i) => {
      for (const one of [highOf(i), lowOf(i), lineOf(i)]) plot.series[one]!.alpha = item === undefined || item === i ? 1 : 0.15;
    });
    plot.redraw();
  };
  const items = series.map(({ label }, i) => ({ label, color: colorOf(i), isShown: isShown[i]! }));
  tools.drawLegend(caption, items, { toggle, point });
  hideIfEmpty();
  tools.keepWidth(plot, height, view, show);
  return { plot, show };
}

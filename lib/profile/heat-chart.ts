/// <reference lib="dom" />
// A chart of a distribution over time: the more values a cell has, the darker it is. uPlot draws the scales and two
// lines, the median and the 99th percentile. The page takes drawHeatChart() as text, so the function uses nothing from
// outside itself.

import type { ChartTools } from './chart.ts';
import type { HeatMap, heatColumnsOf } from './heat-map.ts';
import type { TimeRange } from './lines.ts';
import type { shortSeconds } from './number-text.ts';
import type { ChartView, Drawn, Plot, PlotConstructor } from './plot-frame.ts';

/** The functions that drawHeatChart() calls. */
export interface HeatTools extends Omit<ChartTools, 'bucketsOf' | 'linesOf' | 'dashesOf'> {
  readonly heatColumnsOf: typeof heatColumnsOf;
  readonly shortSeconds: typeof shortSeconds;
}

/** Draws a chart. The vertical scale is the number of the row: the logarithm of the value. */
export function drawHeatChart(UPlot: PlotConstructor, tools: HeatTools, map: HeatMap, view: ChartView): Drawn {
  const { heatColumnsOf, shortNumber, shortSeconds, secondsText } = tools;
  const look = tools.lookOfPage();
  const { colors, height } = look;
  const { scale, first, rows, hasZeros, unit } = map;
  const { caption, frame, range } = view;
  const perPower = 2 ** scale;
  const valueText = (value: number) => (unit === 'seconds' ? shortSeconds(value) : `${shortNumber(value)}${unit === 'bytes' ? 'B' : ''}`);
  const edgeText = (row: number) => valueText(2 ** ((first + row) / perPower));
  const rowText = (row: number | null) => {
    if (row === null) return '–';
    return row === 0 && hasZeros ? `up to ${edgeText(1)}` : `${edgeText(row)} to ${edgeText(row + 1)}`;
  };
  const leastPixels = 3;
  const columnsIn = ({ min, max }: TimeRange, pixels: number) => heatColumnsOf(map, min, max, ((max - min) / pixels) * leastPixels);
  let columns = columnsIn(range(), frame.clientWidth);
  const dataOf = () => [
    columns.map(({ from, to }) => (from + to) / 2),
    columns.map(({ p50 }) => (p50 === null ? null : p50 + 0.5)),
    columns.map(({ p99 }) => (p99 === null ? null : p99 + 0.5)),
  ];

  /** The rows at powers of ten, and, where these are few, at 2 and 5 times them. */
  const marksOf = () => {
    const [low, high] = [2 ** ((first + (hasZeros ? 1 : 0)) / perPower), 2 ** ((first + rows) / perPower)];
    const digits = high / low > 500 ? [1] : high / low > 20 ? [1, 3] : [1, 2, 5];
    const values: number[] = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      for (const digit of digits) values.push(digit * 10 ** power);
    }
    const marks = values.filter((value) => value >= low && value <= high);
    return marks.map((value) => ({ row: Math.log2(value) * perPower - first, text: valueText(value) }));
  };
  const marks = [...(hasZeros ? [{ row: 0.5, text: '0' }] : []), ...marksOf()];

  const paint = (plot: Plot) => {
    const { ctx, bbox } = plot;
    const densities = columns.flatMap(({ counts, from, to }) => counts.map((count) => count / (to - from)));
    const most = densities.reduce((a, b) => Math.max(a, b), 0);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = colors[0]!;
    for (const { counts, from, to } of columns) {
      const left = Math.round(plot.valToPos(from, 'x', true));
      const right = Math.round(plot.valToPos(to, 'x', true));
      counts.forEach((count, row) => {
        if (count === 0) return;
        // By the logarithm over three decades, so that a single value among thousands can be seen.
        ctx.globalAlpha = 0.12 + (0.88 * Math.log1p((1000 * count) / (to - from) / most)) / Math.log1p(1000);
        const top = Math.round(plot.valToPos(row + 1, 'y', true));
        ctx.fillRect(left, top, Math.max(1, right - left), Math.max(1, Math.round(plot.valToPos(row, 'y', true)) - top));
      });
    }
    ctx.restore();
  };

  const names = ['p50', 'p99'];
  const read = (plot: Plot) => {
    const { idx, left = 0 } = plot.cursor;
    const column = idx === null || idx === undefined || left < 0 ? undefined : columns[idx];
    if (column === undefined) return showReadings(undefined, '', []);
    const { from, to, total, p50, p99 } = column;
    showReadings({ left, width: plot.over.clientWidth }, `${secondsText(from)} to ${secondsText(to)}`, [
      { color: colors[0]!, label: 'values', text: shortNumber(total) },
      ...[p50, p99].map((row, i) => ({ color: colors[i + 1]!, label: names[i]!, text: rowText(row) })),
    ]);
  };
  const yAxis = { splits: () => marks.map(({ row }) => row), values: () => marks.map(({ text }) => text) };
  const options = tools.plotOptions(look, view, secondsText, { yAxis, y: { range: [0, rows] } });
  const plot = new UPlot(
    {
      ...options,
      series: [
        {},
        ...names.map((label, i) => ({ label, stroke: colors[i + 1], width: 2, points: { show: false }, ...(i > 0 && { dash: [5, 4] }) })),
      ],
      hooks: { ...options.hooks, drawAxes: [paint], setCursor: [read] },
    },
    dataOf(),
    frame,
  );
  const showReadings = tools.drawReadings(frame);
  const show = (shown: TimeRange) => {
    columns = columnsIn(shown, plot.over.clientWidth);
    plot.setData(dataOf(), false);
    plot.setScale('x', shown);
  };
  tools.drawLegend(
    caption,
    names.map((label, i) => ({ label, color: colors[i + 1]!, isShown: true })),
    { toggle: (i, isOn) => plot.setSeries(i + 1, { show: isOn }), point: () => {} },
  );
  tools.keepWidth(plot, height, view, show);
  return { plot, show };
}

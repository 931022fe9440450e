/// <reference lib="dom" />
// What all plots of a page have in common: the scale of time, the cursor, selecting a range, and the width. The page
// takes the functions as text, so they use nothing from outside themselves.

import type { TimeRange } from './lines.ts';
import type { Look } from './look.ts';

/** What the page uses of uPlot. */
export interface Plot {
  readonly series: { dash?: readonly number[]; alpha?: number }[];
  readonly select: { left: number; width: number };
  readonly cursor: { readonly idx?: number | null; readonly left?: number };
  readonly over: HTMLElement;
  readonly ctx: CanvasRenderingContext2D;
  /** The area between the scales, in pixels of the canvas. */
  readonly bbox: { readonly left: number; readonly top: number; readonly width: number; readonly height: number };
  posToVal(position: number, scale: string): number;
  valToPos(value: number, scale: string, isCanvas: boolean): number;
  redraw(): void;
  setData(data: unknown[], resetScales: boolean): void;
  setScale(scale: string, range: TimeRange): void;
  setSelect(select: { left: number; width: number; top: number; height: number }, callHook: boolean): void;
  setSeries(series: number, options: { show: boolean }): void;
  setSize(size: { width: number; height: number }): void;
}
export interface PlotConstructor {
  readonly paths: { stepped(options: { align: 1 }): unknown };
  new (options: object, data: unknown[], root: HTMLElement): Plot;
}

/** The page around a chart. */
export interface ChartView {
  /** The caption gets the legend. The frame gets the chart; its width is that of the chart. */
  readonly caption: HTMLElement;
  readonly frame: HTMLElement;
  /** The range of time that the charts show now. */
  range(): TimeRange;
  /** Called when the user has selected a range. */
  select(min: number, max: number): void;
}

/** A chart that was drawn. */
export interface Drawn {
  readonly plot: Plot;
  /** Shows another range of time. */
  show(range: TimeRange): void;
}

/** A time of the page as text. */
export function secondsText(seconds: number): string {
  return `${Number(seconds.toPrecision(9))} s`;
}

/** The options of uPlot that all plots share. `yAxis` and `y` are the vertical scale's own. */
export function plotOptions(
  { ink, grid, height, axisWidth }: Look,
  { frame, select }: ChartView,
  secondsTextOf: (seconds: number) => string,
  { yAxis, y = {} }: { yAxis: object; y?: object },
) {
  const axis = { stroke: ink, grid, ticks: grid };
  return {
    width: frame.clientWidth,
    height,
    legend: { show: false },
    // Charts share the time under the cursor, and no height.
    cursor: { y: false, sync: { key: 'profile', scales: ['x', null] }, drag: { x: true, y: false, setScale: false } },
    scales: { x: { time: false, range: (_plot: unknown, min: number, max: number) => [min, max] }, y },
    axes: [
      { ...axis, size: 34, values: (_plot: unknown, ticks: number[]) => ticks.map(secondsTextOf) },
      { ...axis, size: axisWidth, ...yAxis },
    ],
    hooks: {
      setSelect: [
        (selected: Plot) => {
          const { left, width } = selected.select;
          if (width > 0) select(selected.posToVal(left, 'x'), selected.posToVal(left + width, 'x'));
          selected.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        },
      ],
    },
  };
}

/** A plot keeps the width of its frame, also when a phone is turned. A hidden frame has no width. */
export function keepWidth(plot: Plot, height: number, { frame, range }: ChartView, show: (range: TimeRange) => void): void {
  new ResizeObserver(() => {
    if (frame.clientWidth === 0) return;
    plot.setSize({ width: frame.clientWidth, height });
    show(range());
  }).observe(frame);
}

/// <reference lib="dom" />
// What runs in the page. The page takes it as text (`String(showProfile)`), so it uses nothing from outside itself.

import type { Buckets, bucketsOf } from './buckets.ts';
import type { Chart, ProfileSeries } from './series.ts';

interface Plot {
  readonly series: { dash?: readonly number[] }[];
  readonly select: { left: number; width: number };
  readonly over: HTMLElement;
  posToVal(position: number, scale: string): number;
  setData(data: unknown[], resetScales: boolean): void;
  setScale(scale: string, range: { min: number; max: number }): void;
  setSelect(select: { left: number; width: number; top: number; height: number }, callHook: boolean): void;
  setSeries(series: number, options: { show: boolean }): void;
  setSize(size: { width: number; height: number }): void;
}
type PlotConstructor = new (options: object, data: unknown[], root: HTMLElement) => Plot;

export function showProfile(UPlot: PlotConstructor, gather: typeof bucketsOf, profile: ProfileSeries): void {
  const isDark = matchMedia('(prefers-color-scheme: dark)').matches;
  const colors = isDark
    ? ['#6ea8fe', '#ff9f4a', '#4fcf8a', '#ff7a8a', '#b79bff', '#3fd0dd', '#f08cd0', '#d9c04a']
    : ['#2563b8', '#d4680a', '#178a4f', '#c2314b', '#7b4bc0', '#0b8896', '#b0478f', '#857312'];
  const height = 280;
  // Points that are closer than this are gathered into buckets, which are at least so wide and hold at least so many.
  const pointPixels = 3;
  const bucketPixels = 4;
  const bucketPoints = 3;
  const dashPixels = 10;
  const root = document.getElementById('charts')!;
  const ink = getComputedStyle(document.body).color;
  const grid = { stroke: 'rgba(128,128,128,.25)', width: 1 };
  const shows: ((shown: typeof whole) => void)[] = [];
  const whole = { min: profile.times[0] ?? 0, max: profile.times.at(-1) ?? 1 };
  if (!(whole.max > whole.min)) whole.max = whole.min + 1;
  let range = whole;

  // All charts show the same range of time.
  const show = (min: number, max: number) => {
    const width = Math.min(Math.max(max - min, (whole.max - whole.min) / 1e6), whole.max - whole.min);
    const from = Math.min(Math.max(min, whole.min), whole.max - width);
    range = { min: from, max: from + width };
    for (const showPlot of shows) showPlot(range);
  };
  // `place` is between 0, the left edge, and 1, the right one; the time there stays where it is.
  const zoom = (factor: number, place: number) => {
    const width = (range.max - range.min) * factor;
    const middle = range.min + (range.max - range.min) * place;
    show(middle - width * place, middle + width * (1 - place));
  };
  const move = (part: number) => show(range.min + (range.max - range.min) * part, range.max + (range.max - range.min) * part);

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

  /** The first of 1, 2, 5, 10, 20, … times a power of ten that is not less. */
  const roundedUp = (value: number) => {
    const power = 10 ** Math.floor(Math.log10(value));
    return (([1, 2, 5] as const).find((digit) => digit * power >= value) ?? 10) * power;
  };
  /** What a chart of so many pixels draws: the points, or their buckets where there are too many. */
  const linesOf = ({ series, areRates }: Chart, { min, max }: typeof whole, pixels: number): Buckets => {
    const points = profile.times.reduce((count, time) => count + (time >= min && time <= max ? 1 : 0), 0);
    if (points * pointPixels > pixels) {
      const width = roundedUp((max - min) * Math.max(bucketPixels / pixels, bucketPoints / points));
      return gather(profile.times, series, { from: min, to: max, width, areRates });
    }
    const lines = series.map(({ values, low = values, high = values }) => ({ mean: values, low, high }));
    return { times: profile.times, lines };
  };
  /** As uPlot takes it: the bands lie behind all lines. */
  const dataOf = ({ times, lines }: Buckets) => [times, ...lines.flatMap(({ high, low }) => [high, low]), ...lines.map(({ mean }) => mean)];

  /**
   * For each line, the dashes that let lines be seen which it would hide: of lines that coincide, the first is drawn
   * whole, and each later one leaves more of the lines below, so that their colours alternate.
   */
  const dashesOf = ({ lines }: Buckets): (number[] | undefined)[] => {
    const all = lines.flatMap(({ low, high }) => [...low, ...high]).filter((value) => value !== null);
    const tolerance = (all.reduce((a, b) => Math.max(a, b), 0) - all.reduce((a, b) => Math.min(a, b), 0)) / 100;
    const coincide = (a: Buckets['lines'][number], b: Buckets['lines'][number]) => {
      const both = [...a.mean.keys()].filter((i) => a.mean[i] !== null && b.mean[i] !== null);
      const near = both.filter((i) => Math.abs(a.mean[i]! - b.mean[i]!) <= tolerance);
      return near.length > 0 && near.length * 2 >= both.length;
    };
    const leaders = lines.map((line, i) => lines.findIndex((other, j) => j === i || (j < i && coincide(other, line))));
    return lines.map((_, i) => {
      const group = [...leaders.keys()].filter((j) => leaders[j] === leaders[i]);
      const place = group.indexOf(i);
      if (place > 0) return [(group.length - place) * dashPixels, place * dashPixels];
      // Where colours repeat, dashes tell lines apart.
      return i < colors.length ? undefined : [6, 3];
    });
  };

  // A line needs two points: a point with gaps on both sides is a dot.
  const alone = (values: readonly (number | null)[]) => {
    const isGap = (value: number | null | undefined) => value === null || value === undefined;
    return [...values.keys()].filter((i) => !isGap(values[i]) && isGap(values[i - 1]) && isGap(values[i + 1]));
  };

  for (const chart of profile.charts) {
    const beside = chart.shortUnit === '' || chart.shortUnit.startsWith('/') ? chart.shortUnit : ` ${chart.shortUnit}`;
    const figure = document.createElement('figure');
    const caption = document.createElement('figcaption');
    caption.textContent = `${chart.title} · ${chart.unit}`;
    if (chart.note !== undefined) {
      const note = document.createElement('div');
      note.className = 'note';
      note.textContent = chart.note;
      caption.append(note);
    }
    figure.append(caption);
    root.append(figure);

    let drawn = linesOf(chart, range, figure.clientWidth);
    const count = chart.series.length;
    /** The places of the band's edges and of the line among uPlot's series. */
    const highOf = (i: number) => 1 + 2 * i;
    const lowOf = (i: number) => 2 + 2 * i;
    const lineOf = (i: number) => 1 + 2 * count + i;
    const colorOf = (i: number) => colors[i % colors.length]!;
    // The more bands may lie above each other, the fainter each is.
    const opacity = count > 3 ? '24' : '33';
    const edge = { class: 'edge', width: 0, points: { show: false } };
    const valueText = (i: number, at: number | null) => {
      const mean = at === null ? null : drawn.lines[i]!.mean[at];
      if (at === null || mean === null || mean === undefined) return '–';
      const { low, high } = drawn.lines[i]!;
      const text = `${shortNumber(mean)}${beside}`;
      return low[at] === high[at] ? text : `${text} (${shortNumber(low[at]!)} to ${shortNumber(high[at]!)})`;
    };
    const plot = new UPlot(
      {
        width: figure.clientWidth,
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
              filter: (_plot: unknown, _series: number, areAllShown: boolean) => (areAllShown ? null : alone(drawn.lines[i]!.mean)),
            },
            value: (_plot: unknown, _value: unknown, _series: number, at: number | null) => valueText(i, at),
          })),
        ],
        hooks: {
          setSelect: [
            (selected: Plot) => {
              const { left, width } = selected.select;
              if (width > 0) show(selected.posToVal(left, 'x'), selected.posToVal(left + width, 'x'));
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
      dataOf(drawn),
      figure,
    );
    const showPlot = (shown: typeof whole) => {
      drawn = linesOf(chart, shown, plot.over.clientWidth);
      dashesOf(drawn).forEach((dash, i) => {
        const line = plot.series[lineOf(i)]!;
        if (dash === undefined) delete line.dash;
        else line.dash = dash;
      });
      plot.setData(dataOf(drawn), false);
      plot.setScale('x', shown);
    };
    shows.push(showPlot);
    // A chart is as wide as its frame, also after a phone is turned.
    new ResizeObserver(() => {
      plot.setSize({ width: figure.clientWidth, height });
      showPlot(range);
    }).observe(figure);
    plot.over.addEventListener('dblclick', () => show(whole.min, whole.max));

    // Fingers: one moves along the time, two zoom. The page itself scrolls up and down.
    plot.over.style.touchAction = 'pan-y';
    let before: Touch[] = [];
    const places = (touches: Touch[]) => touches.map((touch) => touch.clientX).sort((a, b) => a - b);
    plot.over.addEventListener('touchstart', (event) => (before = [...event.touches]), { passive: true });
    plot.over.addEventListener(
      'touchmove',
      (event) => {
        const now = [...event.touches];
        const { left, width } = plot.over.getBoundingClientRect();
        const [a = 0, b = 0] = places(before);
        const [c = 0, d = 0] = places(now);
        if (now.length === 1 && before.length === 1) move((a - c) / width);
        if (now.length === 2 && before.length === 2 && d - c > 10) zoom((b - a) / (d - c), ((c + d) / 2 - left) / width);
        before = now;
      },
      { passive: true },
    );
  }
  show(whole.min, whole.max);

  const actions: Record<string, () => void> = {
    in: () => zoom(0.5, 0.5),
    out: () => zoom(2, 0.5),
    left: () => move(-0.4),
    right: () => move(0.4),
    all: () => show(whole.min, whole.max),
  };
  for (const button of document.querySelectorAll('button')) button.addEventListener('click', () => actions[button.value]?.());
}

/// <reference lib="dom" />
// What runs in the page. It is taken into the page as text (`String(showProfile)`), so that it may name nothing from
// outside itself.

import type { ProfileSeries } from './series.ts';

interface Plot {
  readonly scales: { x: { min: number | null; max: number | null } };
  readonly select: { left: number; width: number };
  readonly over: HTMLElement;
  readonly width: number;
  posToVal(position: number, scale: string): number;
  setScale(scale: string, range: { min: number; max: number }): void;
  setSelect(select: { left: number; width: number; top: number; height: number }, callHook: boolean): void;
  setSize(size: { width: number; height: number }): void;
}
type PlotConstructor = new (options: object, data: unknown[], root: HTMLElement) => Plot;

export function showProfile(UPlot: PlotConstructor, profile: ProfileSeries): void {
  const colors = ['#3572c6', '#d9822b', '#2e9e5b', '#c23b4b', '#8457c2', '#0f9ba8', '#b3629b', '#8a7a1f'];
  const height = 220;
  const root = document.getElementById('charts')!;
  const ink = getComputedStyle(document.body).color;
  const grid = { stroke: 'rgba(128,128,128,.25)', width: 1 };
  const plots: Plot[] = [];
  const whole = { min: profile.times[0] ?? 0, max: profile.times.at(-1) ?? 1 };
  if (!(whole.max > whole.min)) whole.max = whole.min + 1;
  let range = whole;

  // All charts show the same stretch of time.
  const show = (min: number, max: number) => {
    const width = Math.min(Math.max(max - min, (whole.max - whole.min) / 1e6), whole.max - whole.min);
    const from = Math.min(Math.max(min, whole.min), whole.max - width);
    range = { min: from, max: from + width };
    for (const plot of plots) plot.setScale('x', range);
  };
  // Around a place between 0 and 1 of what is seen.
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

  // A line needs two points: where gaps are on both sides of one, it is a dot.
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
        series: [
          { label: 'time', value: (_plot: unknown, value: number | null) => (value === null ? '–' : seconds(value)) },
          ...chart.series.map(({ name, values }, i) => {
            const color = colors[i % colors.length];
            const dots = alone(values);
            return {
              label: name.startsWith(`${chart.title}.`) ? name.slice(chart.title.length + 1) : name,
              stroke: color,
              width: 1.5,
              points: { fill: color, filter: (_plot: unknown, _series: number, areAllShown: boolean) => (areAllShown ? null : dots) },
              value: (_plot: unknown, value: number | null) =>
                value === null || value === undefined ? '–' : `${shortNumber(value)}${beside}`,
            };
          }),
        ],
        hooks: {
          setSelect: [
            (selected: Plot) => {
              const { left, width } = selected.select;
              if (width > 0) show(selected.posToVal(left, 'x'), selected.posToVal(left + width, 'x'));
              selected.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
            },
          ],
        },
      },
      [profile.times, ...chart.series.map(({ values }) => values)],
      figure,
    );
    plots.push(plot);
    // A chart has its size from its frame, whichever way a phone is held.
    new ResizeObserver(() => plot.setSize({ width: figure.clientWidth, height })).observe(figure);
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

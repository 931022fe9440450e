/// <reference lib="dom" />
// The colours and sizes of a page's charts. The page takes the function as text, so the function uses nothing from
// outside itself.

export interface Look {
  readonly colors: readonly string[];
  /** The colour of text. */
  readonly ink: string;
  readonly grid: { readonly stroke: string; readonly width: number };
  /** Of a chart, in pixels. */
  readonly height: number;
  /** The width of the scale at the left. */
  readonly axisWidth: number;
}

export function lookOfPage(): Look {
  const isDark = matchMedia('(prefers-color-scheme: dark)').matches;
  return {
    colors: isDark
      ? ['#6ea8fe', '#ff9f4a', '#4fcf8a', '#ff7a8a', '#b79bff', '#3fd0dd', '#f08cd0', '#d9c04a']
      : ['#2563b8', '#d4680a', '#178a4f', '#c2314b', '#7b4bc0', '#0b8896', '#b0478f', '#857312'],
    ink: getComputedStyle(document.body).color,
    grid: { stroke: 'rgba(128,128,128,.25)', width: 1 },
    height: 210,
    axisWidth: 60,
  };
}

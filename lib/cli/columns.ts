// A table for a terminal: cells of text in aligned columns. Pure.

/** A column. Text is aligned to the left, numbers to the right. */
export interface Column {
  readonly title: string;
  readonly isNumber?: boolean;
  /** The width beyond which a cell is not padded. Default: the width of the widest cell. */
  readonly widthMax?: number;
}

/**
 * Returns the function that makes a line of cells. Columns are two spaces apart, each as wide as its widest cell; a
 * column with no text at all is left out.
 */
export function lineMaker(columns: readonly Column[], rows: readonly (readonly string[])[]): (cells: readonly string[]) => string {
  const widths = widthsOf(columns, rows);
  const shown = columns.flatMap(({ isNumber = false, widthMax = Number.POSITIVE_INFINITY }, i) =>
    widths[i]! > 0 ? [{ i, isNumber, width: Math.min(widths[i]!, widthMax) }] : [],
  );
  return (cells) => {
    let line = '';
    let gap = '';
    for (const { i, isNumber, width } of shown) {
      line += gap + (isNumber ? cells[i]!.padStart(width) : cells[i]!.padEnd(width));
      gap = '  ';
    }
    return line.trimEnd();
  };
}

/** How wide the widest cell of each column is, its title included. */
export function widthsOf(columns: readonly Column[], rows: readonly (readonly string[])[]): number[] {
  const widths = columns.map(({ title }) => title.length);
  for (const cells of rows) {
    for (let i = 0; i < widths.length; i++) widths[i] = Math.max(widths[i]!, cells[i]!.length);
  }
  return widths;
}

/// <reference lib="dom" />
// The legend of a chart: a button for each line, and a box with the values under the cursor. The page takes the
// functions as text, so they use nothing from outside themselves.

export interface LegendItem {
  readonly label: string;
  readonly color: string;
  readonly isShown: boolean;
}

export interface LegendActions {
  toggle(item: number, isShown: boolean): void;
  /** An item that the pointer is on; undefined if there is none. */
  point(item: number | undefined): void;
}

/** Adds the buttons to `root`. A button shows and hides its line. */
export function drawLegend(root: HTMLElement, items: readonly LegendItem[], { toggle, point }: LegendActions): void {
  const legend = document.createElement('span');
  legend.className = 'legend';
  items.forEach(({ label, color, isShown }, i) => {
    const button = document.createElement('button');
    let isOn = isShown;
    const show = () => button.setAttribute('aria-pressed', String(isOn));
    button.type = 'button';
    button.textContent = label;
    button.style.setProperty('--color', color);
    button.addEventListener('click', () => {
      isOn = !isOn;
      show();
      toggle(i, isOn);
    });
    button.addEventListener('pointerenter', () => point(isOn ? i : undefined));
    button.addEventListener('pointerleave', () => point(undefined));
    show();
    legend.append(button);
  });
  root.append(legend);
}

/** A line of the box: a colour, a name and a value. */
export interface Reading {
  readonly color: string;
  readonly label: string;
  readonly text: string;
}

/** Adds the box to `root`. The box takes no room in the page. Returns the function that fills, moves or hides it. */
export function drawReadings(
  root: HTMLElement,
): (place: { left: number; width: number } | undefined, title: string, readings: Reading[]) => void {
  const box = document.createElement('div');
  box.className = 'readings';
  box.hidden = true;
  root.append(box);
  return (place, title, readings) => {
    box.hidden = place === undefined;
    if (place === undefined) return;
    // On the side where the cursor is not.
    box.className = place.left * 2 > place.width ? 'readings left' : 'readings';
    const lines = readings.map(({ color, label, text }) => {
      const line = document.createElement('div');
      const value = document.createElement('b');
      line.textContent = `${label} `;
      line.style.setProperty('--color', color);
      value.textContent = text;
      line.append(value);
      return line;
    });
    box.replaceChildren(title, ...lines);
  };
}

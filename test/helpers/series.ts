// A strict reader of Prometheus's text format.

/**
 * The value of each series, by its name with its labels. Throws if a line is no sample, a series is there twice, a
 * family begins twice, or a sample stands outside of its family.
 */
export function seriesOf(text: string): Map<string, string> {
  const series = new Map<string, string>();
  const families = new Set<string>();
  let family = '';
  for (const line of text.split('\n')) {
    const [, typed] = /^# TYPE (\S+) (?:counter|gauge|summary|histogram|info)$/.exec(line) ?? [];
    if (typed !== undefined) {
      if (families.has(typed)) throw new Error(`the family ${typed} begins twice`);
      families.add(typed);
      family = typed;
    }
    if (line === '' || line.startsWith('#')) continue;
    const [, name, labels = '', value] = /^([a-zA-Z_]\w*)(\{(?:\w+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined || value === undefined || !Number.isFinite(Number(value))) throw new Error(`this line is no sample: ${line}`);
    if (!name.startsWith(family)) throw new Error(`${name} stands in the family ${family}`);
    if (series.has(name + labels)) throw new Error(`the series ${name}${labels} is there twice`);
    series.set(name + labels, value);
  }
  return series;
}

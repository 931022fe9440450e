// The dashboards for Grafana: of a host, and of one virtual machine.

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana replaces it.
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };

/** Places panels from left to right, and from top to bottom. */
class Grid {
  panels = [];
  #x = 0;
  #y = 0;
  #height = 0;

  row(title, collapsed = false) {
    this.#newLine();
    this.panels.push({ id: this.panels.length + 1, type: 'row', title, collapsed, gridPos: { x: 0, y: this.#y, w: 24, h: 1 }, panels: [] });
    this.#y += 1;
  }

  add(panel, w, h = 8) {
    if (this.#x + w > 24) this.#newLine();
    this.panels.push({ id: this.panels.length + 1, datasource: DATASOURCE, ...panel, gridPos: { x: this.#x, y: this.#y, w, h } });
    this.#x += w;
    this.#height = Math.max(this.#height, h);
  }

  #newLine() {
    this.#x = 0;
    this.#y += this.#height;
    this.#height = 0;
  }
}

const target = (expr, legendFormat, refId = 'A', more = {}) => ({ datasource: DATASOURCE, refId, expr, legendFormat, ...more });
const series = (title, unit, targets, description) => ({
  type: 'timeseries',
  title,
  ...(description && { description }),
  targets,
  fieldConfig: { defaults: { unit, min: 0, custom: { lineWidth: 1, fillOpacity: 8, showPoints: 'never' } }, overrides: [] },
  options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
});
const stat = (title, expr, color) => ({
  type: 'stat',
  title,
  targets: [target(expr, '')],
  fieldConfig: { defaults: { noValue: '0', color: { mode: 'fixed', fixedColor: color } }, overrides: [] },
  options: { colorMode: 'value', graphMode: 'area', reduceOptions: { calcs: ['lastNotNull'] } },
});
const table = (title, expr) => ({
  type: 'table',
  title,
  targets: [target(expr, '', 'A', { format: 'table', instant: true })],
  transformations: [{ id: 'organize', options: { excludeByName: { Time: true, Value: true, __name__: true, job: true } } }],
  fieldConfig: { defaults: {}, overrides: [] },
  options: { showHeader: true },
});

function dashboard(uid, title, description, variables, grid) {
  return {
    uid,
    title,
    description,
    tags: ['vmm-metrics'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    templating: {
      list: [{ name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', hide: 0 }, ...variables],
    },
    panels: grid.panels,
  };
}

const variable = (name, label, query, more = {}) => ({
  name,
  label,
  type: 'query',
  datasource: DATASOURCE,
  query: { query, refId: name },
  definition: query,
  refresh: 2,
  sort: 1,
  ...more,
});

export function hostDashboard() {
  const grid = new Grid();
  grid.row('Virtual machines');
  const COLORS = { running: 'green', closed: 'blue', exited: 'yellow', panicked: 'orange', crashed: 'red', killed: 'purple' };
  for (const [state, color] of Object.entries(COLORS)) grid.add(stat(state, `sum(vmm_state{state="${state}"})`, color), 4, 4);
  grid.add(series('Virtual machines by state', 'short', [target('vmm:states:count', '{{state}}')]), 12);
  grid.add(table('Crashes', 'vmm_crash_info and on (instance, vm) (vmm_state{state="crashed"} == 1)'), 12);
  grid.row('The busiest');
  const top = (title, unit, record) => grid.add(series(title, unit, [target(`topk(10, ${record})`, '{{vm}}')]), 12);
  top('vCPU exits', 'ops', 'vm:vcpu_exits:rate5m');
  top('Failures in 10 minutes', 'short', 'vm:failures:increase10m');
  top('Block reads', 'Bps', 'vm:block_read_bytes:rate5m');
  top('Block writes', 'Bps', 'vm:block_write_bytes:rate5m');
  top('Network, received', 'Bps', 'vm:net_rx_bytes:rate5m');
  top('Network, sent', 'Bps', 'vm:net_tx_bytes:rate5m');
  grid.row('The agent');
  grid.add(series('Region files', 'short', [target('sum by (state) (vmm_agent_files)', '{{state}}')]), 12);
  grid.add(series('Time of a scrape', 's', [target('vmm_agent_scrape_duration_seconds', '{{instance}}')]), 12);
  return dashboard('vmm-host', 'VMM: host', 'All virtual machines that an agent of vmm-metrics shows', [], grid);
}

export function vmDashboard(groups) {
  const grid = new Grid();
  const own = '{vm="$vm"}';
  grid.row('State');
  grid.add(series('State', 'short', [target(`vmm_state${own} == 1`, '{{state}}')]), 8);
  grid.add(table('Process', `vmm_info${own}`), 16);
  for (const { key, def, families } of groups) {
    grid.row(def.kind === 'perDevice' ? `${key}, each device` : key);
    const shown = families.filter(({ isAggregate }) => !isAggregate);
    const label = (name) => name.replace(`vmm_${key}_`, '');
    const legend = (name) => (def.kind === 'perDevice' ? `{{device}} ${label(name)}` : label(name));
    const refs = (list) => list.map(([expr, text], i) => target(expr, text, refIdOf(i)));
    const rates = (list) => refs(list.map(({ name }) => [`rate(${name}${own}[$__rate_interval])`, legend(name)]));
    const counters = shown.filter(({ type }) => type === 'counter');
    const bytes = counters.filter(({ name }) => /bytes/.test(name));
    const counts = counters.filter((family) => !bytes.includes(family));
    const isFailure = ({ name }) => /(fail|error|drop|missed|no_avail)/.test(name);
    const add = (title, unit, targets) => targets.length > 0 && grid.add(series(`${key}: ${title}`, unit, targets), 12);
    add('rates', 'ops', rates(counts.filter((family) => !isFailure(family))));
    add('failures', 'ops', rates(counts.filter(isFailure)));
    add('bytes', 'Bps', rates(bytes));
    const latencies = shown.filter(({ type }) => type === 'summary');
    const mean = ({ name }) => [`rate(${name}_sum${own}[$__rate_interval]) / rate(${name}_count${own}[$__rate_interval])`, legend(name)];
    add('mean latency', 's', refs(latencies.map(mean)));
    const gauges = shown.filter(({ type }) => type === 'gauge');
    const values = (list) => refs(list.map(({ name }) => [`${name}${own}`, legend(name)]));
    add('durations', 's', values(gauges.filter(({ name }) => name.endsWith('_seconds') && !/_(min|max)_seconds$/.test(name))));
    add('values', 'short', values(gauges.filter(({ name }) => !name.endsWith('_seconds'))));
    add('longest latency', 's', values(gauges.filter(({ name }) => name.endsWith('_max_seconds'))));
  }
  const vm = variable('vm', 'Virtual machine', 'label_values(vmm_up, vm)');
  return dashboard('vmm-vm', 'VMM: virtual machine', 'All metrics of one virtual machine with the schema of Firecracker', [vm], grid);
}

/** A to Z, then AA and so on. */
function refIdOf(i) {
  const letter = String.fromCharCode(65 + (i % 26));
  return i < 26 ? letter : refIdOf(Math.floor(i / 26) - 1) + letter;
}

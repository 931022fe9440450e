// The recording and alert rules for Prometheus.

const FAILURE = /(_fails|_failed|_failures|failures|_missed_count|num_errors|_errors)_total$/;

/** The rules as YAML, which JSON is part of: each string is a JSON string. */
export function rulesText(groups) {
  return [recordingRules(groups), alertRules(groups)].map(([name, rules]) => yamlOf(name, rules));
}

const counters = (families) => families.filter(({ type }) => type === 'counter');
/** For each VM, one series of a family: of all devices together where there are devices. */
const perVm = ({ families, def }) => families.filter(({ isAggregate }) => def.kind === 'group' || isAggregate);

function recordingRules(groups) {
  const of = (key) => perVm(groups.find((group) => group.key === key));
  const rate = (names) => names.map((name) => `rate(${name}[5m])`).join(' + ');
  const named = (key, pattern) =>
    counters(of(key))
      .map(({ name }) => name)
      .filter((name) => pattern.test(name));
  const failures = groups
    .flatMap((group) => counters(perVm(group)))
    .map(({ name }) => name)
    .filter((name) => FAILURE.test(name));
  return [
    'vmm.recording',
    [
      { record: 'vmm:states:count', expr: 'sum by (state) (vmm_state)' },
      { record: 'vm:vcpu_exits:rate5m', expr: rate(named('vcpu', /_exit_\w+_total$/)) },
      { record: 'vm:block_read_bytes:rate5m', expr: rate(named('block', /_read_bytes_total$/)) },
      { record: 'vm:block_write_bytes:rate5m', expr: rate(named('block', /_write_bytes_total$/)) },
      { record: 'vm:net_rx_bytes:rate5m', expr: rate(named('net', /_rx_bytes_count_total$/)) },
      { record: 'vm:net_tx_bytes:rate5m', expr: rate(named('net', /_tx_bytes_count_total$/)) },
      { record: 'vm:failures:increase10m', expr: failures.map((name) => `increase(${name}[10m])`).join(' + ') },
    ],
  ];
}

function alertRules(groups) {
  const markers = groups.flatMap(({ def, families }) =>
    Object.entries(def.fields).flatMap(([name, metric]) => {
      const family = families.find((one) => one.name.replace(/_total$/, '').endsWith(`_${name}`));
      return family === undefined ? [] : [{ metric, family }];
    }),
  );
  const marked = (marker) => markers.find(({ metric }) => metric[marker] === true).family.name;
  const ended = (state, what) => ({
    alert: `Vmm${state[0].toUpperCase()}${state.slice(1)}`,
    expr: `vmm_state{state="${state}"} == 1`,
    labels: { severity: 'critical' },
    annotations: { summary: `The VMM of {{ $labels.vm }} ${what}` },
  });
  const warning = (alert, expr, summary, wait) => ({
    alert,
    expr,
    ...(wait !== undefined && { for: wait }),
    labels: { severity: 'warning' },
    annotations: { summary },
  });
  return [
    'vmm.alerts',
    [
      {
        ...ended('crashed', 'was killed by a signal'),
        // The labels of vmm_crash_info say which signal, and where the fault was.
        expr: 'vmm_crash_info and on (instance, vm) (vmm_state{state="crashed"} == 1)',
        annotations: {
          summary: 'The VMM of {{ $labels.vm }} was killed by {{ $labels.signal }}',
          description: 'The fault was at {{ $labels.address }}, in thread {{ $labels.thread_id }}.',
        },
      },
      ended('panicked', 'ended by an uncaught error'),
      ended('killed', 'is gone and left no reason; the OOM killer kills so'),
      warning(
        'VmmUnreadable',
        'vmm_up == 0 unless on (instance, vm) (sum by (instance, vm) (vmm_state) > 0)',
        'The metrics of {{ $labels.vm }} cannot be read',
        '5m',
      ),
      warning('VmmDegraded', 'vmm_degraded == 1', 'The VMM of {{ $labels.vm }} has lost memory of its metrics, and values with it'),
      warning(
        'VmmMissesLines',
        `increase(${marked('onMissedFlush')}[15m]) > 0`,
        'Lines of {{ $labels.vm }} do not get out; their deltas stay pending',
        '15m',
      ),
      warning(
        'VmmMetricsTrouble',
        `increase(${marked('onError')}[15m]) > 0`,
        'The metrics store of {{ $labels.vm }} has trouble: lost memory, or a replaced signal handler',
      ),
      warning(
        'VmmFailures',
        'vm:failures:increase10m > 10',
        '{{ $value | humanize }} operations of {{ $labels.vm }} failed in 10 minutes',
        '10m',
      ),
      warning(
        'VmmAgentSlow',
        'vmm_agent_scrape_duration_seconds > 5',
        'The agent {{ $labels.instance }} needs {{ $value | humanizeDuration }} for a scrape',
        '10m',
      ),
      warning(
        'VmmFilesUnreadable',
        'vmm_agent_files{state="unreadable"} > 0',
        'The agent {{ $labels.instance }} cannot read {{ $value }} region files',
        '10m',
      ),
    ],
  ];
}

function yamlOf(name, rules) {
  const lines = rules.flatMap((rule) =>
    Object.entries(rule).map(([key, value], i) => `${i === 0 ? '      - ' : '        '}${key}:${scalar(value)}`),
  );
  return `# Made by scripts/contrib.mjs from the schema of Firecracker. Do not edit.
groups:
  - name: ${name}
    rules:
${lines.join('\n')}
`;
}

function scalar(value) {
  if (typeof value === 'string') return ` ${JSON.stringify(value)}`;
  return Object.entries(value)
    .map(([key, text]) => `\n          ${key}: ${JSON.stringify(text)}`)
    .join('');
}

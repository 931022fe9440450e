// The ten metrics that profiles sample.

/** The metrics of the group `vcpu` that the counting threads count. */
export const COUNTED = ['exit_io_in', 'exit_io_out', 'exit_mmio_read', 'exit_mmio_write', 'failures'] as const;

const OTHERS = ['uart.read_count', 'uart.write_count', 'signals.sigbus', 'vcpu.exit_io_in_agg.sum_us', 'vcpu.exit_io_in_agg.max_us'];

export const PROFILED = [...COUNTED.map((name) => `vcpu.${name}`), ...OTHERS];

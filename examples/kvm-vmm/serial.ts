// The host's side of the serial port: it prints what the guest writes, and types text to the guest. The vCPU thread
// handles the registers, and counts the bytes (uart.read_count, uart.write_count, uart.missed_write_count).

import type { VmMetrics } from './vmm.ts';

export class Serial {
  readonly #uart: VmMetrics['app']['uart'];
  readonly #print: (text: string) => void;
  readonly #decoder = new TextDecoder();

  /** @param print Gets the guest's output, piece by piece. */
  constructor(metrics: VmMetrics, print: (text: string) => void) {
    this.#uart = metrics.app.uart;
    this.#print = print;
  }

  output(bytes: Uint8Array): void {
    this.#print(this.#decoder.decode(bytes, { stream: true }));
    this.#uart.flush_count.inc();
  }

  /** Counts a failed write to the terminal. The machine runs on without its terminal. */
  outputFailed(): void {
    this.#uart.error_count.inc();
  }

  /**
   * Types text to the guest. Bytes that do not fit into the port's buffer are lost, as on real hardware, and counted.
   */
  type(port: { input(bytes: Uint8Array): number }, text: string): void {
    const bytes = new TextEncoder().encode(text);
    const missed = bytes.length - port.input(bytes);
    if (missed > 0) this.#uart.missed_read_count.add(missed);
  }
}

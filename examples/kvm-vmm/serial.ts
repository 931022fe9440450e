// The serial port, the part beyond its registers: where bytes go to and come from.
// The vCPU thread counts the bytes (uart.read_count, uart.write_count, uart.missed_write_count).

import type { VmMetrics } from './vmm.ts';

export class Serial {
  readonly #uart: VmMetrics['app']['uart'];
  readonly #print: (text: string) => void;
  readonly #decoder = new TextDecoder();

  /** @param print Takes what the guest writes, in pieces. */
  constructor(metrics: VmMetrics, print: (text: string) => void) {
    this.#uart = metrics.app.uart;
    this.#print = print;
  }

  output(bytes: Uint8Array): void {
    this.#print(this.#decoder.decode(bytes, { stream: true }));
    this.#uart.flush_count.inc();
  }

  /** Counts output that did not get out. A terminal that has gone is no reason for the machine to stop. */
  outputFailed(): void {
    this.#uart.error_count.inc();
  }

  /** Types text to the guest. What the port has no room for is lost, as on the real thing, and counted. */
  type(port: { input(bytes: Uint8Array): number }, text: string): void {
    const bytes = new TextEncoder().encode(text);
    const missed = bytes.length - port.input(bytes);
    if (missed > 0) this.#uart.missed_read_count.add(missed);
  }
}

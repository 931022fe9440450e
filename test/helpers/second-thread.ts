// Another thread with its own attachment. The test makes one call at a time, so the order of all calls is known.

import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';

import { HANG_MS } from './limits.ts';

export class SecondThread {
  readonly #worker: Worker;
  readonly #port;
  readonly #answered = new Int32Array(new SharedArrayBuffer(4));

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#worker = new Worker(new URL('../fixtures/second-thread.mjs', import.meta.url), {
      workerData: { port: port2, answered: this.#answered },
      transferList: [port2],
    });
    this.#port.unref();
  }

  /** Returns the result of the command. An error of the command is thrown here, with its code. */
  call(command: string, ...values: unknown[]): unknown {
    Atomics.store(this.#answered, 0, 0);
    this.#port.postMessage([command, ...values]);
    // In a loop: the wake-up of the previous answer may come late.
    while (Atomics.load(this.#answered, 0) === 0) {
      if (Atomics.wait(this.#answered, 0, 0, HANG_MS) === 'timed-out') throw new Error(`the second thread does not answer: ${command}`);
    }
    const { value, error } = receiveMessageOnPort(this.#port)!.message;
    if (error !== undefined) throw Object.assign(new Error(error.message), { code: error.code });
    return value;
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

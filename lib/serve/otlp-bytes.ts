// The bytes of a request, in memory that all requests use one after the other. Pure.

export class RequestBytes {
  #view = new DataView(new ArrayBuffer(0));
  #length = 0;

  /** The memory. It changes when the request grows. */
  get view(): DataView<ArrayBuffer> {
    return this.#view;
  }

  /** What was added since clear(). */
  get bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#view.buffer, 0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  add(bytes: Uint8Array): void {
    const begin = this.open(bytes.length);
    new Uint8Array(this.#view.buffer).set(bytes, begin);
  }

  /** Makes room for that many bytes, which the caller writes. Returns where they begin. */
  open(bytes: number): number {
    const begin = this.#length;
    this.#length += bytes;
    if (this.#length > this.#view.byteLength) {
      const longer = new Uint8Array(2 * this.#length);
      longer.set(new Uint8Array(this.#view.buffer, 0, begin));
      this.#view = new DataView(longer.buffer);
    }
    return begin;
  }
}

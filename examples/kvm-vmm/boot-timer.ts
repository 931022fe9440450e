// The boot timer: the guest writes a magic number to it when it has booted.

const BOOT_DONE = 123;

export class BootTimer {
  readonly #startMs = performance.now();
  readonly #onBoot: (bootMs: number) => void;

  /**
   * @param onBoot Gets the milliseconds from the creation of this device until JavaScript learned that the guest had
   * booted.
   */
  constructor(onBoot: (bootMs: number) => void) {
    this.#onBoot = onBoot;
  }

  write(value: number): void {
    if (value === BOOT_DONE) this.#onBoot(performance.now() - this.#startMs);
  }
}

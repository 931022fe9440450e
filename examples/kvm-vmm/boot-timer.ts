// The boot timer: the guest writes a magic number when it is up.

const BOOT_DONE = 123;

export class BootTimer {
  readonly #startMs = performance.now();
  readonly #onBoot: (bootMs: number) => void;

  /**
   * @param onBoot Gets the time from the making of this device to the guest's being up, as JavaScript learned of it.
   */
  constructor(onBoot: (bootMs: number) => void) {
    this.#onBoot = onBoot;
  }

  write(value: number): void {
    if (value === BOOT_DONE) this.#onBoot(performance.now() - this.#startMs);
  }
}

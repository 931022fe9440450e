// The whole terminal, for a command that draws on all of it: single keys, and a screen of its own. The terminal is
// given back however the process ends, and while it is stopped.

/** Wrapping off, cursor hidden, another screen than the one that was there; and back. */
const TAKE = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const GIVE_BACK = '\x1b[?7h\x1b[?25h\x1b[?1049l';

export class FullScreen {
  readonly #draw: () => void;

  /** `draw` is called when the process goes on after it was stopped, and what it had drawn is gone. */
  constructor(draw: () => void) {
    this.#draw = draw;
  }

  take(): void {
    // However the process ends, an exception among it.
    process.on('exit', this.#giveBack).on('SIGTSTP', this.#stop).on('SIGCONT', this.#goOn);
    this.#takeTerminal();
  }

  leave(): void {
    process.off('exit', this.#giveBack).off('SIGTSTP', this.#stop).off('SIGCONT', this.#goOn);
    this.#giveBack();
  }

  #takeTerminal(): void {
    // False first: a shell may have changed the terminal meanwhile, and Node does nothing where it believes that the
    // mode is raw.
    process.stdin.setRawMode(false).setRawMode(true);
    process.stdout.write(TAKE);
  }

  readonly #giveBack = (): void => {
    process.stdin.setRawMode(false);
    process.stdout.write(GIVE_BACK);
  };

  readonly #stop = (): void => {
    this.#giveBack();
    // Not SIGTSTP again: the kernel ignores it where no shell of the session could bring the process back, and whoever
    // sent it wants a stop.
    process.kill(process.pid, 'SIGSTOP');
    // Here again when the process goes on; SIGCONT does the rest.
  };

  readonly #goOn = (): void => {
    this.#takeTerminal();
    this.#draw();
  };
}

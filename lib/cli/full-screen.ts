// The whole terminal, for a command that draws on all of it: single keys, and the alternate screen. The terminal gets
// its earlier state back when the process ends, however it ends, and while the process is stopped.

/** The alternate screen, without a cursor and without line wrapping; and back. */
const TAKE = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const GIVE_BACK = '\x1b[?7h\x1b[?25h\x1b[?1049l';

export class FullScreen {
  readonly #draw: () => void;

  /** `draw` is called when the process continues after a stop: the screen is empty then. */
  constructor(draw: () => void) {
    this.#draw = draw;
  }

  take(): void {
    // 'exit' comes however the process ends, also after an exception.
    process.on('exit', this.#giveBack).on('SIGTSTP', this.#stop).on('SIGCONT', this.#continue);
    this.#takeTerminal();
  }

  leave(): void {
    process.off('exit', this.#giveBack).off('SIGTSTP', this.#stop).off('SIGCONT', this.#continue);
    this.#giveBack();
  }

  #takeTerminal(): void {
    // A shell may have changed the terminal meanwhile, and Node ignores a call for the mode that it believes to be set.
    // So the first call, with false, makes Node obey the second.
    process.stdin.setRawMode(false).setRawMode(true);
    process.stdout.write(TAKE);
  }

  readonly #giveBack = (): void => {
    process.stdin.setRawMode(false);
    process.stdout.write(GIVE_BACK);
  };

  readonly #stop = (): void => {
    this.#giveBack();
    // SIGSTOP, not SIGTSTP again: the kernel ignores SIGTSTP if no shell of the session could continue the process, but
    // the sender wants a stop.
    process.kill(process.pid, 'SIGSTOP');
    // Execution continues here after the stop; the handler of SIGCONT does the rest.
  };

  readonly #continue = (): void => {
    this.#takeTerminal();
    this.#draw();
  };
}

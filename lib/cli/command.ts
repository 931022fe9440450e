// What every command of the command line has in common.

/** Where a command writes. */
export interface CommandIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** Runs with its arguments, and gives the exit code. A UsageError is a wrong use, any other error a failure. */
export type Command = (args: readonly string[], io: CommandIo) => Promise<number>;

/** The command line is not usable; one line says why. */
export class UsageError extends Error {}

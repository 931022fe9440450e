/** The codes of {@link MetricsError}. A message may change from version to version; a code never does. */
export const ErrorCode = {
  /** `init()` has succeeded before, in any thread. */
  ALREADY_INITIALIZED: 'ERR_METRICS_ALREADY_INITIALIZED',
  /**
   * The destination that `init()` got cannot be opened. `cause` has Node's `code`, `errno`, `syscall`, unless the
   * destination is a region file.
   */
  OPEN: 'ERR_METRICS_OPEN',
  /** The sink did not take the whole line. `cause` has Node's `code`, `errno`, `syscall`. */
  WRITE: 'ERR_METRICS_WRITE',
  /** The schema cannot be used. The message names the path in the schema. */
  SCHEMA: 'ERR_METRICS_SCHEMA',
  /**
   * A store of this name is open with another schema, id, properties or file. The message names the first difference.
   */
  LAYOUT_MISMATCH: 'ERR_METRICS_LAYOUT_MISMATCH',
  /** This thread has closed the store. */
  CLOSED: 'ERR_METRICS_CLOSED',
  /** A device cannot be made: the line already has its key, or a limit of the store is reached. */
  DEVICE: 'ERR_METRICS_DEVICE',
  /** There is no memory or disk space, or a thread cannot be started. `cause` has Node's `code`, `errno`, `syscall`. */
  NO_SPACE: 'ERR_METRICS_NO_SPACE',
  /**
   * A file is not a region or is damaged, or a region file cannot be made. The message says what is wrong. Where a
   * system call failed, `cause` has Node's `code`, `errno`, `syscall`.
   */
  REGION: 'ERR_METRICS_REGION',
  /** The region file belongs to a store that is open. The message names the process. */
  REGION_BUSY: 'ERR_METRICS_REGION_BUSY',
  /**
   * A profile is running already, its output cannot be opened, or rows did not reach the output. Where a system call
   * failed, `cause` has Node's `code`, `errno`, `syscall`.
   */
  PROFILE: 'ERR_METRICS_PROFILE',
  /** The native addon cannot be loaded. The message says what was tried. */
  NATIVE: 'ERR_METRICS_NATIVE',
  /** This thread cannot attach to the store, or signals cannot be captured for one more store. */
  ATTACH: 'ERR_METRICS_ATTACH',
} as const;

export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/**
 * The error of every failure, except that a wrong argument is a `TypeError` or a `RangeError`. `code` never changes.
 * `cause` is the error that led to this error, if any.
 */
export class MetricsError extends Error {
  override readonly name: string = 'MetricsError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** `path` is the place in the schema. */
export function schemaError(path: string, problem: string): MetricsError {
  return new MetricsError(ErrorCode.SCHEMA, `${path}: ${problem}`);
}

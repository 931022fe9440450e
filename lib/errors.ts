/** Stable codes of {@link MetricsError}. A message may change from version to version, a code never does. */
export const ErrorCode = {
  /** A second `init()`. */
  ALREADY_INITIALIZED: 'ERR_METRICS_ALREADY_INITIALIZED',
  /** The destination given to `init()` cannot be opened; `cause` has Node's `code`, `errno`, `syscall`. */
  OPEN: 'ERR_METRICS_OPEN',
  /** A whole line could not be handed to the sink; `cause` has Node's `code`, `errno`, `syscall`. */
  WRITE: 'ERR_METRICS_WRITE',
  /** The schema is not usable; the message names the path in it. */
  SCHEMA: 'ERR_METRICS_SCHEMA',
  /**
   * A store of this name is open with another schema, id, properties or file; the message names the first difference.
   */
  LAYOUT_MISMATCH: 'ERR_METRICS_LAYOUT_MISMATCH',
  /** This thread's attachment was closed. */
  CLOSED: 'ERR_METRICS_CLOSED',
  /** A device cannot be made: its line key is taken, or the store is full. */
  DEVICE: 'ERR_METRICS_DEVICE',
  /** Memory for cells cannot be had; `cause` has Node's `code`, `errno`, `syscall`. */
  NO_SPACE: 'ERR_METRICS_NO_SPACE',
  /**
   * A file is no region, is damaged, or cannot be made one; the message says which. `cause` has Node's `code`, `errno`,
   * `syscall` where there is one.
   */
  REGION: 'ERR_METRICS_REGION',
  /** The region's file belongs to a store that is open; the message names the process. */
  REGION_BUSY: 'ERR_METRICS_REGION_BUSY',
  /**
   * A profile is running already, its output cannot be opened, or rows did not reach it; `cause` has Node's `code`,
   * `errno`, `syscall`.
   */
  PROFILE: 'ERR_METRICS_PROFILE',
  /** The native addon cannot be loaded; the message names what was tried. */
  NATIVE: 'ERR_METRICS_NATIVE',
  /** This thread cannot attach to the store. */
  ATTACH: 'ERR_METRICS_ATTACH',
} as const;

export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/**
 * Every failure of this package that is not a wrong argument (those are `TypeError` and `RangeError`).
 * `code` is stable; `cause` is the failure below, where there is one.
 */
export class MetricsError extends Error {
  override readonly name: string = 'MetricsError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

// The failures of native code, and the error that a caller gets for each.

import { getSystemErrorMap } from 'node:util';

import { ErrorCode, MetricsError } from './errors.ts';
import { CELLS_MAX, DEVICES_MAX, LINE_BYTES_MAX } from './region/format.ts';

/** A failure as native code reports it: `Status` in native/base/status.h. */
export interface Failure {
  readonly code: FailureCode;
  /** The system's error number; 0 if a limit was reached and no call failed. */
  readonly errno: number;
  /** The name of the call that failed; empty if no call failed. */
  readonly syscall: string;
  /** For `wrongFile`, what is wrong with the file, such as "is a symbolic link"; else empty. */
  readonly reason: string;
  /** For `busy`, the process that uses the file; 0 when it is not known. */
  readonly holder?: number;
}

/** `Code` in native/base/status.h. */
export type FailureCode =
  | 'memory'
  | 'open'
  | 'write'
  | 'thread'
  | 'region'
  | 'wrongFile'
  | 'busy'
  | 'keyTaken'
  | 'tooManyDevices'
  | 'tooManyCells'
  | 'lineTooLong'
  | 'tooManyFiles'
  | 'tooManyCaptured'
  | 'alreadyRunning'
  | 'invalid'
  | 'crashing'
  | 'lock'
  | 'noStatistics';

interface Meaning {
  /** The code of the error. Default: the code of the operation that failed. */
  readonly error?: ErrorCode;
  /** Why the operation failed. Default: the text of the system's error, which then becomes the cause. */
  readonly why?: (failure: Failure) => string;
  /** Whether the system's error is about the file of the operation. */
  readonly isAboutFile?: boolean;
}

const MEANINGS: Readonly<Record<FailureCode, Meaning>> = {
  memory: { error: ErrorCode.NO_SPACE },
  thread: { error: ErrorCode.NO_SPACE },
  open: { isAboutFile: true },
  write: {},
  region: { isAboutFile: true },
  wrongFile: { why: ({ reason }) => `it ${reason}` },
  busy: { error: ErrorCode.REGION_BUSY, why: ({ holder }) => `it is in use by ${holder ? `process ${holder}` : 'another process'}` },
  keyTaken: { why: () => 'the line already has this key' },
  tooManyDevices: { why: () => `a store has room for ${DEVICES_MAX} devices` },
  tooManyCells: { why: () => `a store has room for ${CELLS_MAX} values` },
  lineTooLong: { why: () => `a line has room for ${LINE_BYTES_MAX} bytes` },
  tooManyFiles: { why: () => 'this process has 64 region files open already, which is the limit' },
  tooManyCaptured: { why: () => 'this process captures signals for 16 stores already, which is the limit' },
  alreadyRunning: { why: () => 'a profile of this store is running already; call its stop() first' },
  invalid: { why: () => 'native code rejected it, which is a bug in vmm-metrics' },
  crashing: {},
  lock: {},
  noStatistics: { why: () => 'this kernel has no statistics descriptors of KVM' },
};

/** What was to be done when something failed. */
export interface Operation {
  /** The beginning of the message, such as "Cannot open the region file 'a'". */
  readonly what: string;
  /** The code of failures that have no code of their own. */
  readonly error: ErrorCode;
  /** The file that was to be opened, if it has a path. */
  readonly path?: string | undefined;
}

/** The error for the caller. `cause` is the system's error, if there is one. */
export function failureError(failure: Failure, { what, error, path }: Operation): MetricsError {
  const { error: own = error, why, isAboutFile } = MEANINGS[failure.code];
  if (why !== undefined) return new MetricsError(own, `${what}: ${why(failure)}`);
  const cause = systemError(failure, isAboutFile ? path : undefined);
  return new MetricsError(own, `${what}: ${systemError(failure).message}`, { cause });
}

/** Whether what native code gave back is a failure. */
export function isFailure(value: unknown): value is Failure {
  return typeof value === 'object' && value !== null && 'syscall' in value;
}

/** The system's error as Node makes it, with `code`, `errno`, `syscall` and, if it is known, `path`. */
export function systemError({ errno, syscall }: Failure, path?: string): NodeJS.ErrnoException {
  const [code, text] = getSystemErrorMap().get(-errno) ?? [`E${errno}`, 'unknown error'];
  const error = new Error(`${code}: ${text}, ${syscall}${path === undefined ? '' : ` '${path}'`}`);
  return Object.assign(error, { code, errno: -errno, syscall }, path === undefined ? {} : { path });
}

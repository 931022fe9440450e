// Errors that tests provoke and compare.

import { expect } from 'vitest';

/** The error that `action` throws, in the parts that a caller may rely on. */
export function failureOf(action: () => unknown): { name: string; code: unknown; cause: unknown; syscall: unknown } | undefined {
  try {
    action();
  } catch (error) {
    const { name, code, cause } = error as Error & { code?: string; cause?: NodeJS.ErrnoException };
    return { name, code, cause: cause?.code, syscall: cause?.syscall };
  }
  return undefined;
}

export const writeFailure = (cause: string, syscall = 'write') => ({ name: 'MetricsError', code: 'ERR_METRICS_WRITE', cause, syscall });

/** The error of a closed store. */
export const closed = expect.objectContaining({ code: 'ERR_METRICS_CLOSED' });

/** A value of a wrong type, as plain JavaScript may pass it. */
export const bad = (value: unknown) => value as never;

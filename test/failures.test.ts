// The failures that native code reports, and the errors that callers get for them.

import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { type Failure, type FailureCode, failureError } from '../lib/failures.ts';
import { ErrorCode, type MetricsError } from '../lib/index.ts';

const operation = { what: "Cannot open 'a'", error: ErrorCode.DEVICE, path: '/a' };
const own = ErrorCode.DEVICE;

const TABLE: Readonly<Record<FailureCode, { readonly code: ErrorCode; readonly why: string; readonly path?: string }>> = {
  memory: { code: ErrorCode.NO_SPACE, why: 'EACCES: permission denied, open' },
  thread: { code: ErrorCode.NO_SPACE, why: 'EACCES: permission denied, open' },
  open: { code: own, why: 'EACCES: permission denied, open', path: '/a' },
  write: { code: own, why: 'EACCES: permission denied, open' },
  region: { code: own, why: 'EACCES: permission denied, open', path: '/a' },
  wrongFile: { code: own, why: 'it is a symbolic link' },
  busy: { code: ErrorCode.REGION_BUSY, why: 'it is in use by process 7' },
  keyTaken: { code: own, why: 'the line already has this key' },
  tooManyDevices: { code: own, why: 'a store has room for 131072 devices' },
  tooManyCells: { code: own, why: 'a store has room for 2097152 values' },
  lineTooLong: { code: own, why: 'a line has room for 134217728 bytes' },
  tooManyFiles: { code: own, why: 'this process has 64 region files open already, which is the limit' },
  tooManyCaptured: { code: own, why: 'this process captures signals for 16 stores already, which is the limit' },
  alreadyRunning: { code: own, why: 'a profile of this store is running already; call its stop() first' },
  invalid: { code: own, why: 'native code rejected it, which is a bug in vmm-metrics' },
  crashing: { code: own, why: 'EACCES: permission denied, open' },
  lock: { code: own, why: 'EACCES: permission denied, open' },
  noStatistics: { code: own, why: 'this kernel has no statistics descriptors of KVM' },
};

describe('given a failure of native code', () => {
  test.each(
    Object.entries(TABLE),
  )("when it is '%s', then the error has its code and names the operation and the reason", (code, expected) => {
    const failure: Failure = { code: code as FailureCode, errno: 13, syscall: 'open', reason: 'is a symbolic link', holder: 7 };
    const { message, cause, ...error } = failureError(failure, operation) as MetricsError & { cause?: NodeJS.ErrnoException };
    expect(error.code).toBe(expected.code);
    expect(message).toBe(`Cannot open 'a': ${expected.why}`);
    const isOfSystem = expected.why.startsWith('E');
    expect(cause === undefined).toBe(!isOfSystem);
    if (isOfSystem) expect(cause).toMatchObject({ code: 'EACCES', errno: -13, syscall: 'open' });
    expect(cause?.path).toBe(expected.path);
  });

  test('when the owner of a busy file is unknown, then the message says so', () => {
    const failure: Failure = { code: 'busy', errno: 11, syscall: 'flock', reason: '', holder: 0 };
    expect(failureError(failure, operation).message).toBe("Cannot open 'a': it is in use by another process");
  });

  test('when native code lists its codes, then they are the codes of the table', () => {
    const source = readFileSync(new URL('../native/node/napi_util.h', import.meta.url), 'utf8');
    const names = [...source.matchAll(/case Code::k\w+: code = "(\w+)"/g)].map(([, name]) => name!);
    expect(names.toSorted()).toEqual(Object.keys(TABLE).toSorted());
  });
});

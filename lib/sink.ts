// Where the lines of a store go. The last lines of earlier lives of its region file go there first.

import { resolve } from 'node:path';

import { checkedDestination, shownDestination } from './arguments.ts';
import type { Attachment } from './binding.ts';
import { ErrorCode, MetricsError } from './errors.ts';
import { type Failure, failureError } from './failures.ts';
import { prepareRecoveries } from './region/recovery.ts';
import type { StoreLocation } from './store-spec.ts';

/** Sets where lines go. Metrics.init() says what it throws. */
export function initiate(attachment: Attachment, location: StoreLocation, destination: string | number): void {
  const checked = checkedDestination('init(): destination', destination);
  // Absolute: the path is looked up again when the file is rotated, and the working directory may be another one by
  // then.
  const result = initiated(attachment, location, typeof checked === 'string' ? resolve(checked) : checked);
  if (result === true) return;
  if (result === false) throw new MetricsError(ErrorCode.ALREADY_INITIALIZED, 'Reinitialization of metrics not allowed.');
  throw failureError(result, {
    what: `Cannot open the metrics destination ${shownDestination(destination)}`,
    error: ErrorCode.OPEN,
    path: typeof destination === 'string' ? destination : undefined,
  });
}

function initiated(attachment: Attachment, { file, recover }: StoreLocation, destination: string | number): boolean | Failure {
  if (file === undefined || !recover) return attachment.init(destination);
  const recoveries = prepareRecoveries(file, destination);
  try {
    return attachment.init(destination, recoveries.lines);
  } finally {
    recoveries.close();
  }
}

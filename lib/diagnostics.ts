// What goes wrong in a store, on the channels of Node's diagnostics_channel.

import { channel } from 'node:diagnostics_channel';
import { constants } from 'node:os';

import { shown } from './arguments.ts';
import type { Attachment } from './binding.ts';
import { ErrorCode, type MetricsError } from './errors.ts';
import { failureError, systemError } from './failures.ts';
import { hintAtLostKvm } from './hints.ts';

/** The message of the channel `vmm-metrics:missed`: the line of a flush did not get out. Its deltas stay pending. */
export interface MissedMessage {
  /** The name of the store. */
  readonly name: string;
  /** What `write()` throws in this case. */
  readonly error: MetricsError;
}

/** The message of the channel `vmm-metrics:degraded`: memory of the region file was lost, with the values in it. */
export interface DegradedMessage {
  /** The name of the store. */
  readonly name: string;
  /** The absolute path of the region file. */
  readonly file: string;
}

/** The message of the channel `vmm-metrics:displaced`: other handlers have replaced ours, see `captureSignals()`. */
export interface DisplacedMessage {
  /** The name of the store. */
  readonly name: string;
  readonly signals: readonly NodeJS.Signals[];
}

/** The message of the channel `vmm-metrics:kvm`: statistics that `sampleKvm()` was given cannot be read any more. */
export interface LostKvmMessage {
  /** The name of the store. */
  readonly name: string;
  /** The id of the vCPU; undefined for the VM. */
  readonly vcpu: string | undefined;
  /** Why, with Node's `code`, `errno`, `syscall`. */
  readonly error: NodeJS.ErrnoException;
}

const missed = channel('vmm-metrics:missed');
const degraded = channel('vmm-metrics:degraded');
const displaced = channel('vmm-metrics:displaced');
const lostKvm = channel('vmm-metrics:kvm');

/** Publishes the troubles of a store on this thread, if this thread has opened the store. */
export function publishTroubles(attachment: Attachment, name: string, file: string | undefined): void {
  attachment.listen(() => {
    const troubles = attachment.troubles();
    for (const failure of troubles.missed) {
      missed.publish({ name, error: writeError(failure) } satisfies MissedMessage);
    }
    if (troubles.isDegraded) degraded.publish({ name, file: file! } satisfies DegradedMessage);
    if (troubles.displaced.length > 0) {
      displaced.publish({ name, signals: troubles.displaced.map(signalName) } satisfies DisplacedMessage);
    }
    if (troubles.hasLostKvm) publishLostKvm(attachment, name);
  });
}

/** Also warns: without a listener on the channel, nobody would learn of it. */
function publishLostKvm(attachment: Attachment, name: string): void {
  for (const { vcpu, failure } of attachment.kvmLosses()) {
    const error = systemError(failure);
    hintAtLostKvm(name, vcpu === null ? 'VM' : `vCPU ${shown(vcpu)}`, error);
    lostKvm.publish({ name, vcpu: vcpu ?? undefined, error } satisfies LostKvmMessage);
  }
}

/** The error of a flush whose line did not get out. */
export function writeError(failure: Parameters<typeof failureError>[0]): MetricsError {
  return failureError(failure, { what: 'Failed to write metrics', error: ErrorCode.WRITE });
}

function signalName(number: number): NodeJS.Signals {
  return Object.entries(constants.signals).find(([, value]) => value === number)![0] as NodeJS.Signals;
}

// A typed wrapper of the addon: the virtual machine as the rest of this program sees it. The vCPU runs on a native
// thread. What the guest does to its devices arrives here in batches, and this file calls the devices, which are
// TypeScript.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import { defineSchema, group, Metrics, perDevice } from 'vmm-metrics';
import { firecrackerX86_64 } from 'vmm-metrics/firecracker';
import { kvmFields } from 'vmm-metrics/kvm';

/**
 * Opens the store that the devices, the vCPU thread and KVM share. The file `region` outlives the process.
 *
 * `native/metrics.gen.h` was made from Firecracker's schema for x86-64: the guest is x86 code, on whatever machine it
 * is simulated. What KVM counts depends on the running kernel, so these groups stand behind those of the header, and
 * only where the guest runs on KVM.
 */
export function openMetrics(region: string, isOnKvm: boolean) {
  const kvm = isOnKvm ? kvmFields() : undefined;
  const schema = defineSchema({
    ...firecrackerX86_64.shape,
    ...(kvm && { kvm_vm: group(kvm.vm), kvm_vcpu: perDevice(kvm.vcpu) }),
  });
  return Metrics.open(schema, { name: 'kvm-vmm', file: region });
}

export type VmMetrics = ReturnType<typeof openMetrics>;

export interface DiskRequest {
  readonly operation: 'read' | 'write';
  readonly sector: number;
  readonly bytes: number;
  /** The data that the guest writes; empty for a read. */
  readonly data: Uint8Array;
}

/** The devices of a machine. Each is called on the JS thread, some time after the guest has gone on. */
export interface Devices {
  readonly serial: { output(bytes: Uint8Array): void };
  readonly disk: {
    readonly id: string;
    readonly sectors: number;
    /** Returns the data that was read, an empty array after a write, or `undefined` if the request failed. */
    handle(request: DiskRequest): Uint8Array | undefined;
  };
  readonly pmem: { flush(): void };
  readonly bootTimer: { write(value: number): void };
}

export interface VmOptions {
  readonly metrics: VmMetrics;
  readonly devices: Devices;
  /** An existing file that becomes the guest's memory. */
  readonly memoryFile: string;
  /** Do not use KVM: a native thread makes the guest's exits. */
  readonly simulate: boolean;
  /** The highest rate of exits; 0 means no limit. */
  readonly exitsPerSecond: number;
  /** Called when the vCPU has ended by itself. */
  readonly onEnd: (reason: string) => void;
}

/** Why this process cannot use KVM; `undefined` if it can. */
export function kvmProblem(): string | undefined {
  return addon().kvmProblem();
}

/** A running virtual machine. It keeps the process alive until `stop()` is called. */
export class Vm {
  readonly #machine: NativeMachine;
  readonly #devices: Devices;
  readonly #onEnd: (reason: string) => void;
  #poll: NodeJS.Timeout | undefined;

  /** @throws Error if the machine cannot be made; the message names the step that failed. */
  constructor(options: VmOptions) {
    const { metrics, devices, memoryFile, simulate, exitsPerSecond, onEnd } = options;
    this.#devices = devices;
    this.#onEnd = onEnd;
    const nativeOptions = { metrics: metrics.native, memoryFile, simulate, exitsPerSecond, disk: devices.disk.id };
    this.#machine = addon().start(nativeOptions, () => this.#serve());
    this.#machine.setSectors(devices.disk.sectors);
    const kvm = this.#machine.kvmDescriptors();
    if (kvm !== undefined) metrics.sampleKvm({ vm: kvm.vm, vcpus: { 0: kvm.vcpu } });
  }

  /** Sends bytes to the guest's serial port. Returns how many fitted into the receive buffer. */
  input(bytes: Uint8Array): number {
    return this.#machine.input(bytes);
  }

  /** Makes the vCPU thread overflow its native stack, which kills the process. */
  overflow(): void {
    this.#machine.overflow();
  }

  /** Ends the vCPU thread, and passes the guest's last events to the devices. */
  stop(): void {
    clearTimeout(this.#poll);
    this.#machine.stop();
    this.#dispatch(this.#machine.takeEvents());
  }

  /** Polls while the guest keeps the devices busy. When the guest is idle, the next event wakes this thread. */
  #serve(): void {
    const endReason = this.#machine.endReason(); // read first: if the vCPU has ended, the events taken below are the last
    const events = this.#machine.takeEvents();
    if (endReason === undefined && events.length > 0) this.#poll = setTimeout(() => this.#serve(), POLL_MS);
    this.#dispatch(events);
    if (endReason !== undefined) this.#onEnd(endReason);
    else if (events.length === 0) this.#machine.wakeMe();
  }

  #dispatch(events: Uint32Array): void {
    const serialBytes: number[] = [];
    for (let i = 0; i < events.length; i += EVENT_WORDS) {
      const [kind, a = 0, b = 0, c = 0, d = 0] = events.subarray(i, i + EVENT_WORDS);
      if (kind === EventKind.SERIAL_OUT) serialBytes.push(a);
      else if (kind === EventKind.BLOCK_REQUEST) this.#handleDiskRequest(a, b === 1 ? 'write' : 'read', c, d);
      else if (kind === EventKind.MMIO_WRITE && a === BOOT_TIMER) this.#devices.bootTimer.write(b);
      else if (kind === EventKind.MMIO_WRITE && a === FLUSH_REGISTER) this.#devices.pmem.flush();
    }
    if (serialBytes.length > 0) this.#devices.serial.output(Uint8Array.from(serialBytes));
  }

  #handleDiskRequest(slot: number, operation: DiskRequest['operation'], sector: number, bytes: number): void {
    const data = operation === 'write' ? this.#machine.writtenData(slot) : new Uint8Array();
    this.#machine.complete(slot, this.#devices.disk.handle({ operation, sector, bytes, data }));
  }
}

const POLL_MS = 1;

// The same numbers as in native/mailbox.h and native/guest_program.h.
const EVENT_WORDS = 5;
const EventKind = { SERIAL_OUT: 1, BLOCK_REQUEST: 2, MMIO_WRITE: 3 } as const;
const BOOT_TIMER = 0x08;
const FLUSH_REGISTER = 0x10;

interface NativeMachine {
  /** Joins the vCPU thread. `takeEvents()` still returns the events that came before. */
  stop(): void;
  takeEvents(): Uint32Array;
  /** Why the vCPU has ended by itself; `undefined` if it has not. */
  endReason(): string | undefined;
  /** Asks for one call of `onWake`: at the next event, or at once if there is an event already. */
  wakeMe(): void;
  /** The descriptors of the VM and its vCPU, which stay the machine's; `undefined` if the guest does not run on KVM. */
  kvmDescriptors(): { readonly vm: number; readonly vcpu: number } | undefined;
  input(bytes: Uint8Array): number;
  overflow(): void;
  /** Sets the register from which the guest reads the size of its disk. */
  setSectors(sectors: number): void;
  /** The data of the write request in this slot. */
  writtenData(slot: number): Uint8Array;
  /** Completes the request in this slot; `undefined` means that it failed. */
  complete(slot: number, data: Uint8Array | undefined): void;
}

interface NativeOptions {
  readonly metrics: VmMetrics['native'];
  readonly memoryFile: string;
  readonly disk: string;
  readonly exitsPerSecond: number;
  readonly simulate: boolean;
}

interface NativeAddon {
  kvmProblem(): string | undefined;
  start(options: NativeOptions, onWake: () => void): NativeMachine;
}

const ADDON = '../../../examples/kvm-vmm/build/Release/kvm_vmm.node'; // from dist/examples/kvm-vmm
let loaded: NativeAddon | undefined;

function addon(): NativeAddon {
  if (loaded === undefined) {
    const file = fileURLToPath(new URL(ADDON, import.meta.url));
    try {
      loaded = createRequire(import.meta.url)(file) as NativeAddon;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw cause;
      throw new Error(`the demo's addon is not built (${file}); build it with: npm run compile:demo`, { cause });
    }
  }
  return loaded;
}

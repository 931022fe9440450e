// The virtual machine as the rest of this program sees it: a typed wrapper of the addon. The vCPU runs on a native
// thread; what the guest does to a device comes here in batches, and goes on to the devices, which are TypeScript.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import { Metrics } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

/**
 * The store of this process: the same one for the devices here and for the vCPU thread. `region` outlives the process.
 */
export function openMetrics(region: string) {
  return Metrics.open(firecracker, { name: 'kvm-vmm', file: region });
}

export type VmMetrics = ReturnType<typeof openMetrics>;

export interface DiskRequest {
  readonly operation: 'read' | 'write';
  readonly sector: number;
  readonly bytes: number;
  /** What the guest writes; empty for a read. */
  readonly data: Uint8Array;
}

/** What a machine is made of. Each device is called on the JS thread, some time after the guest has gone on. */
export interface Devices {
  readonly serial: { output(bytes: Uint8Array): void };
  readonly disk: {
    readonly id: string;
    readonly sectors: number;
    /** The data that was read, nothing for a write; `undefined` when the request failed. */
    handle(request: DiskRequest): Uint8Array | undefined;
  };
  readonly pmem: { flush(): void };
  readonly bootTimer: { write(value: number): void };
}

export interface VmOptions {
  readonly metrics: VmMetrics;
  readonly devices: Devices;
  /** An existing file; it becomes the guest's memory. */
  readonly memoryFile: string;
  /** No KVM: a native thread makes the guest's exits. */
  readonly simulate: boolean;
  /** The guest is slowed down to this; 0 is as fast as it goes. */
  readonly exitsPerSecond: number;
  /** The vCPU has ended by itself. */
  readonly onEnd: (reason: string) => void;
}

/** Why KVM cannot be used here; `undefined` when it can. */
export function kvmProblem(): string | undefined {
  return addon().kvmProblem();
}

/** A running virtual machine. It keeps the process alive until `stop()`. */
export class Vm {
  readonly #machine: NativeMachine;
  readonly #devices: Devices;
  readonly #onEnd: (reason: string) => void;
  #poll: NodeJS.Timeout | undefined;

  /** @throws Error when the machine cannot be made; the message says which step failed. */
  constructor(options: VmOptions) {
    const { metrics, devices, memoryFile, simulate, exitsPerSecond, onEnd } = options;
    this.#devices = devices;
    this.#onEnd = onEnd;
    const nativeOptions = { metrics: metrics.native, memoryFile, simulate, exitsPerSecond, disk: devices.disk.id };
    this.#machine = addon().start(nativeOptions, () => this.#serve());
    this.#machine.setSectors(devices.disk.sectors);
  }

  /** Bytes for the guest to read from its serial port. Returns how many the receive buffer had room for. */
  input(bytes: Uint8Array): number {
    return this.#machine.input(bytes);
  }

  /** A mistake to be seen in the metrics: the vCPU thread uses up its native stack, and the process dies. */
  overflow(): void {
    this.#machine.overflow();
  }

  /** Ends the vCPU thread, and lets the devices have what the guest did last. */
  stop(): void {
    clearTimeout(this.#poll);
    this.#machine.stop();
    this.#dispatch(this.#machine.takeEvents());
  }

  /** Polls while the guest keeps the devices busy; sleeps, to be woken by the next event, when it does not. */
  #serve(): void {
    const endReason = this.#machine.endReason(); // first: then the events taken below are the last
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
  /** Joins the vCPU thread. What the guest did before can still be taken. */
  stop(): void;
  takeEvents(): Uint32Array;
  /** Why the vCPU has ended by itself, if it has. */
  endReason(): string | undefined;
  /** `onWake` is to be called once, at the next event or at once if there is one. */
  wakeMe(): void;
  input(bytes: Uint8Array): number;
  overflow(): void;
  /** Sets the register that the guest reads the size of its disk from. */
  setSectors(sectors: number): void;
  /** What the guest writes with the request in this slot. */
  writtenData(slot: number): Uint8Array;
  /** Gives the request in this slot back to the guest; `undefined` is a failure. */
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
      throw new Error(`${file} is not built; build it with: npx node-gyp rebuild -C examples/kvm-vmm`, { cause });
    }
  }
  return loaded;
}

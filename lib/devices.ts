// The devices of one group, as one thread sees them. Native code decides which cells a device has, for all threads.

import { type AccessorOf, accessorsOf, letGo } from './accessors/accessors.ts';
import { checkedDeviceId, shown } from './arguments.ts';
import { ErrorCode } from './errors.ts';
import { failureError, isFailure } from './failures.ts';
import { INSPECT, type InspectArguments, inspectedDevices, nameAt } from './inspected.ts';
import type { DeviceGroupLayout } from './layout.ts';
import type { Fields } from './schema.ts';
import type { DeviceHolder, ThreadCells } from './thread-cells.ts';
import { throwing, throwsForUnknown } from './unknown-names.ts';

/** The metrics of one device. */
export type DeviceMetrics<F extends Fields> = { readonly [K in keyof F]: AccessorOf<F[K]> };

/**
 * The devices of one kind. An id has 1 to 255 bytes of UTF-8, without NUL.
 *
 * Thread-safe: each thread has its own object, and all objects see the same devices. Not for signal handlers. After
 * `close()`, every method throws MetricsError `ERR_METRICS_CLOSED`.
 */
export interface Devices<F extends Fields> {
  /**
   * Returns the metrics of the device `id`. If there is no such device, it is made, and its metrics start at 0. While
   * the device exists, a thread gets the same object from each call, and all threads see the same values.
   *
   * Devices may come and go without limit. At one time, a store has room for 131,072 devices, 2,097,152 values, and a
   * line of 128 MiB. A removed device takes room until its last values are flushed and no thread or native code can
   * write to it any more.
   * @throws TypeError, RangeError for a bad id. Nothing changes then.
   * @throws MetricsError `ERR_METRICS_DEVICE` when `<group>_<id>` is already a key of the line, or a limit is reached.
   * The message names the limit. Nothing changes then.
   * @throws MetricsError `ERR_METRICS_NO_SPACE` when there is no memory for its cells. Nothing changes then.
   */
  alloc(id: string): DeviceMetrics<F>;
  /** The ids of all devices, sorted by their bytes. */
  ids(): string[];
  /**
   * Removes a device from the line. The aggregate of the next line includes what the device has counted since the last
   * line, and later aggregates include what old accessors of the device still add. In a group without an aggregate, the
   * line has these counts under the device's key, added to those of a new device with the same id.
   *
   * Once two more devices with the same id, or 16 other devices of the group, have been removed, the old accessors
   * belong to no device any more. Their counters keep their counts, and also go up by what other such accessors of the
   * group add. A store metric then has a value that only its accessor sees, and extremes no longer change. In a group
   * without an aggregate, the counts that such accessors add appear in `snapshot().<group>.aggregate`, but in no line.
   * @returns False when there is no device with that id.
   * @throws TypeError, RangeError for a bad id.
   */
  remove(id: string): boolean;
}

/** A device that this thread has accessors of. */
interface Known {
  readonly id: string;
  readonly firstCell: number;
  readonly metrics: DeviceMetrics<Fields>;
}

export class ThreadDevices implements Devices<Fields>, DeviceHolder {
  readonly #cells: ThreadCells;
  readonly #layout: DeviceGroupLayout;
  readonly #known = new Map<string, Known>();
  /** The same devices, and removed devices that this thread has not let go of; the key is the first cell. */
  readonly #held = new Map<number, Known>();
  /** The first of the group's rest cells, see `Attachment.restCell()`; undefined before this thread has a device. */
  #restCell: number | undefined;
  /** The prototype of each device's accessors. */
  readonly #prototype: object;

  constructor(cells: ThreadCells, layout: DeviceGroupLayout) {
    this.#cells = cells;
    this.#layout = layout;
    this.#prototype = throwsForUnknown(
      `metrics.app.${layout.key}.alloc(id)`,
      layout.metrics.map(({ name }) => name),
    );
    Object.freeze(this);
  }

  static {
    Object.setPrototypeOf(
      ThreadDevices.prototype,
      throwing((name, receiver) => (#layout in receiver ? receiver.#noSuch(name) : new TypeError(`Devices have no '${name}'`))),
    );
  }

  alloc(id: string): DeviceMetrics<Fields> {
    const { attachment } = this.#cells;
    checkedDeviceId(id);
    this.#prepare();
    const firstCell = attachment.allocDevice(this.#layout.group, id);
    if (isFailure(firstCell)) {
      const what = `Cannot make the device ${shown(id)} as ${shown(`${this.#layout.key}_${id}`)}`;
      throw failureError(firstCell, { what, error: ErrorCode.DEVICE });
    }
    // If another thread has removed the device and made a new one with this id since, the cells differ.
    const known = this.#known.get(id);
    if (known?.firstCell === firstCell) return known.metrics;
    const metrics = accessorsOf(this.#cells, this.#layout.metrics, firstCell, this.#prototype) as DeviceMetrics<Fields>;
    const made = { id, firstCell, metrics };
    this.#known.set(id, made);
    this.#held.set(firstCell, made);
    return metrics;
  }

  ids(): string[] {
    const { attachment } = this.#cells;
    this.#cells.letGo();
    return attachment.devices(this.#layout.group).map((device) => device.id);
  }

  remove(id: string): boolean {
    const { attachment } = this.#cells;
    checkedDeviceId(id);
    this.#known.delete(id);
    const isRemoved = attachment.removeDevice(this.#layout.group, id);
    this.#cells.letGo();
    return isRemoved;
  }

  letGo(firstCell: number): void {
    const held = this.#held.get(firstCell);
    if (held === undefined) return;
    letGo(this.#cells, held.metrics, this.#layout.metrics, this.#restCell!);
    this.#held.delete(firstCell);
    if (this.#known.get(held.id) === held) this.#known.delete(held.id);
  }

  nameAt(cell: number, isPart: boolean): string | undefined {
    const { key, cellKinds } = this.#layout;
    const has = (firstCell: number) => firstCell <= cell && cell < firstCell + cellKinds.length;
    for (const { id, firstCell } of this.#held.values()) {
      if (has(firstCell)) return nameAt(this.#layout, `${key}_${id}`, firstCell, cell, isPart);
    }
    const rest = this.#restCell;
    return rest !== undefined && has(rest) ? `${nameAt(this.#layout, key, rest, cell, isPart)} of a removed device` : undefined;
  }

  [INSPECT](...how: InspectArguments): string {
    return inspectedDevices(this.#layout.key, this.#cells, () => this.ids(), how);
  }

  /** Prepares everything that letGo() needs, so that letGo() cannot fail. Called before this thread has a device. */
  #prepare(): void {
    this.#cells.letGo();
    if (this.#restCell !== undefined) return;
    const restCell = this.#cells.attachment.restCell(this.#layout.group);
    accessorsOf(this.#cells, this.#layout.metrics, restCell, this.#prototype); // maps the cells
    this.#cells.hold(this.#layout.group, this);
    this.#restCell = restCell;
  }

  #noSuch(name: string): TypeError {
    const { key, metrics } = this.#layout;
    const where = `metrics.app.${key}`;
    if (metrics.some((metric) => metric.name === name))
      return new TypeError(`${where} is a group of devices: '${name}' is a metric of each, ${where}.alloc(id).${name}`);
    return new TypeError(`${where} has no '${name}': it is a group of devices, with alloc(id), ids() and remove(id)`);
  }
}

// The devices of one group, as one thread sees them. Who has which cells is decided in native code, for all threads.

import { type AccessorOf, accessorsOf } from './accessors.ts';
import { checkedDeviceId, shown } from './arguments.ts';
import { isFailure, systemError } from './binding.ts';
import { ErrorCode, MetricsError } from './errors.ts';
import type { DeviceGroupLayout } from './layout.ts';
import type { Fields } from './schema.ts';
import type { ThreadCells } from './thread-cells.ts';
import { throwing, throwsForUnknown } from './unknown-names.ts';

/** The metrics of one device. */
export type DeviceMetrics<F extends Fields> = { readonly [K in keyof F]: AccessorOf<F[K]> };

/**
 * The devices of one kind. Ids are 1 to 255 bytes of UTF-8 without NUL. After `close()` everything throws `ERR_METRICS_CLOSED`.
 */
export interface Devices<F extends Fields> {
  /**
   * The metrics of the device `id`, which is made when it is not there; its metrics start at 0. For the same id a thread gets the
   * same object, and all threads the same values.
   * @throws TypeError, RangeError for a bad id; MetricsError `ERR_METRICS_DEVICE` when `<group>_<id>` is a key of the line already or
   * the store is full, `ERR_METRICS_NO_SPACE` when there is no memory for its cells. Nothing changes then.
   */
  alloc(id: string): DeviceMetrics<F>;
  /** The ids of the devices that are there, sorted by their bytes. */
  ids(): string[];
  /**
   * Takes a device out of the line; false when there is none of that id. What it counted and no line has shown yet is in the next
   * line's aggregate, and so is what somebody adds through an old accessor.
   */
  remove(id: string): boolean;
}

export class ThreadDevices implements Devices<Fields> {
  readonly #cells: ThreadCells;
  readonly #layout: DeviceGroupLayout;
  readonly #known = new Map<string, { readonly firstCell: number; readonly metrics: DeviceMetrics<Fields> }>();

  /** Of the accessors of each device. */
  readonly #prototype: object;

  constructor(cells: ThreadCells, layout: DeviceGroupLayout) {
    this.#cells = cells;
    this.#layout = layout;
    this.#prototype = throwsForUnknown(
      `metrics.app.${layout.key}.alloc(id)`,
      layout.metrics.map(({ name }) => name),
    );
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
    const firstCell = attachment.allocDevice(this.#layout.group, id);
    if (isFailure(firstCell)) {
      const key = shown(`${this.#layout.key}_${id}`);
      if (firstCell.reason === 'taken')
        throw new MetricsError(ErrorCode.DEVICE, `Device ${shown(id)}: ${key} is a key of the line already`);
      if (firstCell.reason === 'full')
        throw new MetricsError(ErrorCode.DEVICE, `Device ${shown(id)}: the store has no room for more devices`);
      const cause = systemError(firstCell);
      throw new MetricsError(ErrorCode.NO_SPACE, `Device ${shown(id)}: no memory for its cells: ${cause.message}`, { cause });
    }
    // Another thread may have removed the device and made it anew since: then its cells are others.
    const known = this.#known.get(id);
    if (known?.firstCell === firstCell) return known.metrics;
    const metrics = accessorsOf(this.#cells, this.#layout.metrics, firstCell, this.#prototype) as DeviceMetrics<Fields>;
    this.#known.set(id, { firstCell, metrics });
    return metrics;
  }

  ids(): string[] {
    return this.#cells.attachment
      .devices(this.#layout.group)
      .filter((device) => !device.removed)
      .map((device) => device.id);
  }

  remove(id: string): boolean {
    const { attachment } = this.#cells;
    checkedDeviceId(id);
    this.#known.delete(id);
    return attachment.removeDevice(this.#layout.group, id);
  }

  #noSuch(name: string): TypeError {
    const { key, metrics } = this.#layout;
    const where = `metrics.app.${key}`;
    if (metrics.some((metric) => metric.name === name))
      return new TypeError(`${where} is a group of devices: '${name}' is a metric of each, ${where}.alloc(id).${name}`);
    return new TypeError(`${where} has no '${name}': it is a group of devices, with alloc(id), ids() and remove(id)`);
  }
}

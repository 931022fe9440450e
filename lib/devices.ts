// The devices of one group, as one thread sees them. Who has which cells is decided in native code, for all threads.

import { type AccessorOf, accessorsOf, letGo } from './accessors/accessors.ts';
import { checkedDeviceId, shown } from './arguments.ts';
import { ErrorCode } from './errors.ts';
import { failureError, isFailure } from './failures.ts';
import type { DeviceGroupLayout } from './layout.ts';
import type { Fields } from './schema.ts';
import type { DeviceHolder, ThreadCells } from './thread-cells.ts';
import { throwing, throwsForUnknown } from './unknown-names.ts';

/** The metrics of one device. */
export type DeviceMetrics<F extends Fields> = { readonly [K in keyof F]: AccessorOf<F[K]> };

/**
 * The devices of one kind. Ids are 1 to 255 bytes of UTF-8 without NUL. After `close()` everything throws
 * `ERR_METRICS_CLOSED`.
 */
export interface Devices<F extends Fields> {
  /**
   * The metrics of the device `id`, which is made when it is not there; its metrics start at 0. For the same id a
   * thread gets the same object, and all threads the same values. There is no limit to how often devices come and go.
   * At one time a store has room for 131,072 devices, 2,097,152 values of theirs, and a line of 128 MiB; devices that
   * were removed count until their last numbers are out and no thread or native code can add to them any more.
   * @throws TypeError, RangeError for a bad id; MetricsError `ERR_METRICS_DEVICE` when `<group>_<id>` is a key of the
   * line already or the store is full, naming the limit, `ERR_METRICS_NO_SPACE` when there is no memory for its cells.
   * Nothing changes then.
   */
  alloc(id: string): DeviceMetrics<F>;
  /** The ids of the devices that are there, sorted by their bytes. */
  ids(): string[];
  /**
   * Takes a device out of the line; false when there is none of that id. What it counted and no line has shown yet is
   * in the next line's aggregate, and so is what somebody adds through an old accessor.
   *
   * In a group without an aggregate it is under the device's own key, together with what a device that has the id by
   * then has counted.
   *
   * Once the same id was removed twice more, or 16 other devices of the group were, an old accessor counts for the
   * group alone. Its `count()` goes on from what it was, with what comes through the others of that kind; its store
   * metrics and extremes are its own. Where there is no aggregate, what it adds then is in
   * `snapshot().<group>.aggregate`, and in no line.
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
  /** The same by their cells, and those that were removed and have not been let go of. */
  readonly #held = new Map<number, Known>();
  /** Where accessors count that were let go of; undefined before there are any. */
  #restCell: number | undefined;

  /** Of the accessors of each device. */
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
    // Another thread may have removed the device and made it anew since: then its cells are others.
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

  /** Before this thread has a device: all that is needed to let go of it is there, so that nothing can fail then. */
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

// A region that is read again and again. Its file stays open, and each part of it is decoded again only if the bytes
// of that part changed.

import { ContentReader } from './content.ts';
import { RegionFile } from './file.ts';
import { type SettledContent, settled } from './settled.ts';

export class KeptRegion {
  readonly path: string;
  #file: RegionFile | undefined;
  #contents = new ContentReader();

  /** Opens nothing yet. */
  constructor(path: string) {
    this.path = path;
  }

  /**
   * Reads the file that the path names now. If that is another file than last time, or if the file was cut short
   * meanwhile, the file is read as if for the first time.
   * @returns The content, whose arrays the next call overwrites.
   * @throws MetricsError `ERR_METRICS_REGION` as readRegion(). The region is closed then; the next call opens it again.
   */
  read(): SettledContent {
    try {
      const size = this.#file?.bytesIfNamed();
      if (size === undefined) this.close();
      this.#file ??= RegionFile.open(this.path);
      return settled(this.#file, this.#contents.read(this.#file, size));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Closes the file, and forgets what was read. A second call does nothing, and read() opens the file again. */
  close(): void {
    if (this.#file === undefined) return;
    this.#file.close();
    this.#file = undefined;
    this.#contents = new ContentReader();
  }
}

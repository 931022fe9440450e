// A region that is read many times. Its file stays open, and each part of it is decoded again only if the bytes of that
// part changed. After two readings that found the same devices, native code does the next readings. When it finds that
// more than values changed, the file is read here, where all checks are.

import { binding } from '../binding.ts';
import { type KnownRegionHandle, KnownResult } from '../binding-readers.ts';
import { ContentReader, type ReadingLimits } from './content.ts';
import { type Owners, RegionFile } from './file.ts';
import { KnownSettlement } from './known-settlement.ts';
import { type SettledContent, settled } from './settled.ts';

export interface KeptRegionOptions extends ReadingLimits {
  /** Whether native code may read the file. The results are the same. Default: true. */
  readonly native?: boolean;
  /** Default: `'usual'`. */
  readonly owners?: Owners;
}

export class KeptRegion {
  readonly path: string;
  readonly #isNative: boolean;
  readonly #owners: Owners;
  #file: RegionFile | undefined;
  readonly #limits: ReadingLimits;
  #contents: ContentReader;
  #content: SettledContent | undefined;
  readonly #settlement = new KnownSettlement();
  #known: KnownRegionHandle | undefined;
  /** How often in a row native code has found that more than values changed. */
  #misses = 0;
  readonly #result = new Uint8Array(1);

  /** Opens nothing yet. */
  constructor(path: string, { native = true, owners = 'usual', ...limits }: KeptRegionOptions = {}) {
    this.path = path;
    this.#isNative = native;
    this.#owners = owners;
    this.#limits = limits;
    this.#contents = new ContentReader(limits);
  }

  /** For binding().readKnownRegions(), whose result result() takes. */
  get known(): KnownRegionHandle | undefined {
    return this.#known;
  }

  /**
   * Reads the file that the path names now. If the path names a new file, or if the file was cut short meanwhile, the
   * file is read as if for the first time.
   * @returns The content. The next call overwrites its arrays, and may return the same object.
   * @throws MetricsError `ERR_METRICS_REGION` when readRegion() would throw it. The region is closed then; the next
   * call opens it again.
   */
  read(): SettledContent {
    if (this.#known !== undefined) {
      binding().readKnownRegions([this.#known], this.#result);
      const content = this.result(this.#result[0]!);
      if (content !== undefined) return content;
    }
    try {
      return this.#readFile();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The content after native code has read the file; undefined if only read() can tell what is there now. */
  result(result: number): SettledContent | undefined {
    if (this.#content === undefined || result === KnownResult.changed) {
      this.#misses++;
      return undefined;
    }
    this.#misses = 0;
    if (result === KnownResult.same) return this.#content;
    try {
      const header = this.#contents.flushedMeanwhile(this.#file!);
      this.#content = { ...this.#content, header, commit: header.commit };
      return this.#content;
    } catch {
      return undefined; // The header is damaged: read() says so.
    }
  }

  /** Closes the file, and forgets what was read. A second call does nothing, and read() opens the file again. */
  close(): void {
    if (this.#file === undefined) return;
    this.#file.close();
    this.#file = undefined;
    this.#contents = new ContentReader(this.#limits);
    this.#content = undefined;
    this.#known = undefined;
  }

  #readFile(): SettledContent {
    const size = this.#file?.bytesIfNamed();
    if (size === undefined) this.close();
    this.#file ??= RegionFile.open(this.path, 'read', this.#owners);
    const mapBefore = this.#content?.map;
    this.#content = undefined;
    const content = settled(this.#file, this.#contents.read(this.#file, size), this.#settlement);
    this.#content = content;
    if (!this.#isNative) return content;
    // One miss may come from a flush at the same time. After two, what native code knows is out of date.
    if (content.map !== mapBefore) this.#known = undefined;
    else if (this.#known === undefined || this.#misses > 1) this.#known = this.#knownAs(content);
    return content;
  }

  #knownAs(content: SettledContent): KnownRegionHandle | undefined {
    this.#misses = 0;
    const spec = this.#contents.known(this.#file!, content);
    return spec && binding().knownRegion(spec);
  }
}

// The chart library that pages contain.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import type { ChartLibrary } from '../profile/page.ts';

export function chartLibrary(): ChartLibrary {
  const folder = dirname(createRequire(import.meta.url).resolve('uplot/package.json'));
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  return { script: read('dist/uPlot.iife.min.js'), style: read('dist/uPlot.min.css'), license: read('LICENSE') };
}

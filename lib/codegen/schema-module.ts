// The schema that a module of JavaScript exports.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { type Schema, schemaOf } from '../schema.ts';

/**
 * Runs the module and returns its export. `module` is a path, or else the name of a package that the working directory
 * can import, such as `vmm-metrics/firecracker`.
 * @throws Error that names the module, and the exports that are schemas if the wanted one is not.
 */
export async function schemaOfModule(module: string, exported: string): Promise<Schema> {
  const exports = await exportsOf(module);
  const schema = schemaOf(exports[exported]);
  if (schema !== undefined) return schema;
  const what = Object.hasOwn(exports, exported) ? 'is no schema' : 'does not exist';
  const schemas = Object.keys(exports).filter((name) => schemaOf(exports[name]) !== undefined);
  const hint = schemas.length === 0 ? 'it exports no schema' : `it exports the schemas ${schemas.join(', ')}; choose with --export`;
  throw new Error(`The export '${exported}' of '${module}' ${what}: ${hint}`);
}

async function exportsOf(module: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(urlOf(module))) as Record<string, unknown>;
  } catch (cause) {
    throw new Error(`Cannot load '${module}': ${(cause as Error).message}`, { cause });
  }
}

function urlOf(module: string): string {
  const path = resolve(module);
  const isPackage = !/^\.{0,2}\//.test(module) && !existsSync(path);
  return pathToFileURL(isPackage ? createRequire(join(process.cwd(), 'x')).resolve(module) : path).href;
}

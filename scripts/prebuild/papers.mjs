// The papers that go with the prebuilt addons: their checksums, the licences of everything that is linked into them,
// and a software bill of materials. All are the same whenever and wherever they are made from the same sources.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const json = (...path) => JSON.parse(readFileSync(join(...path), 'utf8'));
const versionOf = (name) => json(root, 'node_modules', name, 'package.json').version;

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** The checksums of files, as lines of `sha256sum`. The paths are relative to the repository. */
export const checksumsOf = (files) => files.toSorted().map((file) => `${sha256(readFileSync(join(root, file)))}  ${file}`);

/** The checksum of everything that the addons are made from: our sources, the headers, the compiler. */
export function sourcesDigest(zigVersion) {
  const files = ['binding.gyp', 'scripts/toolchain/zig/package-lock.json'];
  for (const folder of ['native', 'scripts/prebuild']) {
    files.push(...readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)));
  }
  const sums = checksumsOf(files.filter((file) => /\.(cc|h|map|gyp|mjs|json)$/.test(file)));
  return sha256([...sums, zigVersion, ...['node-api-headers', 'node-addon-api'].map(versionOf)].join('\n'));
}

/** SHA256SUMS, for `sha256sum -c`. */
export function sumsOf(files, zig) {
  const tools = [`zig ${zig.version}`, ...['node-api-headers', 'node-addon-api'].map((name) => `${name} ${versionOf(name)}`)];
  const head = [
    `# vmm-metrics ${json(root, 'package.json').version}, built by ${tools.join(', ')}`,
    `# sources ${sourcesDigest(zig.version)}`,
  ];
  return `${[...head, ...files.map(({ file, sum }) => `${sum}  ${file}`)].join('\n')}\n`;
}

/** What is linked into the addons, besides our own code. */
function linkedIn(zig) {
  const llvm = readFileSync(join(zig.libraries, 'libcxx/include/__config'), 'utf8').match(/define _LIBCPP_VERSION (\d\d)(\d\d)(\d\d)/);
  const version = llvm.slice(1).map(Number).join('.');
  const fromLlvm = (name, folder) => ({
    name,
    version,
    license: 'Apache-2.0 WITH LLVM-exception',
    text: join(zig.libraries, folder, 'LICENSE.TXT'),
    from: `https://github.com/llvm/llvm-project/tree/main/${folder}`,
  });
  const fromNpm = (name, file) => ({
    name,
    version: versionOf(name),
    license: 'MIT',
    text: join(root, 'node_modules', name, file),
    purl: `pkg:npm/${name}@${versionOf(name)}`,
  });
  return [
    fromLlvm('libc++', 'libcxx'),
    fromLlvm('libc++abi', 'libcxxabi'),
    fromLlvm('libunwind', 'libunwind'),
    { name: 'zig compiler-rt', version: zig.version, license: 'MIT', text: join(zig.libraries, 'LICENSE'), from: 'https://ziglang.org' },
    {
      name: 'glibc, the start files and the part that is always linked statically',
      version: '2.28',
      license: 'LGPL-2.1-or-later WITH GCC-exception-2.0',
      only: 'the addons for glibc',
      text: join(zig.libraries, 'libc/glibc/LICENSES'),
      from: 'https://www.gnu.org/software/libc/',
    },
    {
      name: 'musl, the start files',
      version: '1.2.5',
      license: 'MIT',
      only: 'the addons for musl',
      text: join(zig.libraries, 'libc/musl/COPYRIGHT'),
      from: 'https://musl.libc.org',
    },
    fromNpm('node-addon-api', 'LICENSE.md'),
    fromNpm('node-api-headers', 'LICENSE'),
  ];
}

/** The licences of what is linked in. A text that several parts share is there once. */
export function licencesOf(zig) {
  const byText = new Map();
  for (const part of linkedIn(zig)) {
    const text = readFileSync(part.text, 'utf8').trim();
    byText.set(text, [...(byText.get(text) ?? []), part]);
  }
  const line = '='.repeat(100);
  const shown = ({ name, version, license, only }) => `${name} ${version} (${license})${only === undefined ? '' : `, in ${only}`}`;
  const blocks = [...byText].map(([text, those]) => `${line}\n${those.map(shown).join('\n')}\n${line}\n\n${text}\n`);
  return `The prebuilt addons contain code of the following projects. Each is under its own licence.\n\n${blocks.join('\n')}`;
}

/** The bill of materials in CycloneDX: npm's own for the package, and what is linked into the addons. */
export function billOf(files, zig) {
  const options = ['sbom', '--sbom-format', 'cyclonedx', '--sbom-type', 'library', '--omit', 'dev', '--package-lock-only'];
  const bill = JSON.parse(execFileSync('npm', options, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  // The serial number and the time are new at each run, the tool is whatever npm is here, and the name is the folder's.
  delete bill.serialNumber;
  delete bill.metadata.timestamp;
  delete bill.metadata.tools;
  const { name, version } = json(root, 'package.json');
  Object.assign(bill.metadata.component, { name, version });
  const linked = linkedIn(zig).map(({ name, version, license, from, purl }) => ({
    'bom-ref': `${name}@${version}`,
    type: 'library',
    name,
    version,
    scope: 'required',
    ...(purl === undefined ? { externalReferences: [{ type: 'website', url: from }] } : { purl }),
    licenses: [/ WITH /.test(license) ? { expression: license } : { license: { id: license } }],
  }));
  const addons = files.map(({ file, sum }) => ({
    'bom-ref': `prebuilds/${file}`,
    type: 'file',
    name: `prebuilds/${file}`,
    hashes: [{ alg: 'SHA-256', content: sum }],
  }));
  bill.components = [...(bill.components ?? []), ...linked, ...addons];
  const dependsOn = linked.map((part) => part['bom-ref']);
  bill.dependencies = [...(bill.dependencies ?? []), ...addons.map((addon) => ({ ref: addon['bom-ref'], dependsOn }))];
  return `${JSON.stringify(bill, null, 2)}\n`;
}

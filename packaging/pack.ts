/**
 * Builds a package in JavaScript and packs it, since Node runs no TypeScript below `node_modules`.
 *
 *   node packaging/pack.ts kit|server [DIRECTORY FOR THE TARBALL]
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { z } from 'zod';

const ROOT = join(import.meta.dirname, '..');
const versions = z.record(z.string(), z.string());
const Manifest = z.looseObject({
  version: z.string(),
  dependencies: versions,
  optionalDependencies: versions,
});
type Manifest = z.infer<typeof Manifest>;

interface Package {
  /** The compiler's project, which writes to `dist/NAME`. */
  project: string;
  /** Files and folders beside what is compiled: from where to where. */
  copies: Record<string, string>;
  manifest: (root: Manifest) => object;
}

const PACKAGES: Record<string, Package> = {
  kit: {
    project: 'packaging/tsconfig.kit.json',
    copies: { LICENSE: 'LICENSE', 'docs/resource-server.md': 'README.md' },
    manifest: ({ version, license, type, dependencies }) => ({
      name: 'latchkey-resource-server',
      description: 'Verifies the access tokens of an OAuth 2.0 authorization server in an API',
      ...{ version, license, type },
      engines: { node: '>=20.16' },
      exports: {
        '.': { types: './resource-server.d.ts', default: './resource-server.js' },
        './testing': { types: './testing.d.ts', default: './testing.js' },
      },
      sideEffects: false,
      dependencies: { jose: `^${dependencies['jose']}` },
    }),
  },
  server: {
    project: 'packaging/tsconfig.server.json',
    copies: Object.fromEntries(
      ['LICENSE', 'README.md', 'CHANGELOG.md', 'docs', 'views', 'src'].map((name) => [name, name]),
    ),
    manifest: ({ name, version, description, license, type, engines, dependencies, optionalDependencies }) => ({
      ...{ name, version, description, license, type, engines },
      bin: { latchkey: 'src/main.js' },
      ...{ dependencies, optionalDependencies },
    }),
  },
};

function build(name: string, { project, copies, manifest }: Package): string {
  const directory = join(ROOT, 'dist', name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', join(ROOT, project)], {
    stdio: 'inherit',
  });
  for (const [from, to] of Object.entries(copies)) {
    cpSync(join(ROOT, from), join(directory, to), {
      recursive: true,
      // Sources are there as they were compiled.
      filter: (file) => extname(file) !== '.ts' && !file.endsWith('/tsconfig.json'),
    });
  }
  const root = Manifest.parse(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')));
  writeFileSync(join(directory, 'package.json'), `${JSON.stringify(manifest(root), undefined, 2)}\n`);
  return directory;
}

const [name = '', destination = '.'] = process.argv.slice(2);
const chosen = PACKAGES[name];
if (chosen === undefined) {
  console.error(`usage: node ${join('packaging', 'pack.ts')} ${Object.keys(PACKAGES).join('|')} [DIRECTORY]`);
  process.exit(2);
}
const directory = build(name, chosen);
const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', resolve(destination)], {
  cwd: directory,
  encoding: 'utf8',
});
console.log(join(resolve(destination), packed.trim()));

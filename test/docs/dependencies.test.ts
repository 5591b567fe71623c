import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { z } from 'zod';

const versions = z.record(z.string(), z.string());
const manifest = z
  .object({ dependencies: versions, devDependencies: versions, optionalDependencies: versions, allowScripts: versions })
  .parse(JSON.parse(readFileSync('package.json', 'utf8')));

const SECTIONS = {
  'Run time': manifest.dependencies,
  'Node itself': manifest.optionalDependencies,
  Development: manifest.devDependencies,
};

/** The names and reasons under one heading of docs/dependencies.md: lines of the form `- **name**: reason`. */
function listed(heading: string): { name: string; reason: string }[] {
  const section = readFileSync('docs/dependencies.md', 'utf8')
    .split(/^## /m)
    .find((text) => text.startsWith(`${heading}\n`));
  return [...(section ?? '').matchAll(/^- \*\*(\S+)\*\*: (.*)$/gm)].map(([, name = '', reason = '']) => ({
    name,
    reason,
  }));
}

describe('The list of dependencies', () => {
  for (const [heading, packages] of Object.entries(SECTIONS)) {
    it(`docs/dependencies.md names the packages of "${heading}", each with its reason`, () => {
      const entries = listed(heading);
      assert.deepEqual(
        entries.map(({ name }) => name),
        Object.keys(packages),
      );
      for (const { name, reason } of entries) assert.ok(reason.length > 20, name);
    });

    it(`The dependencies of "${heading}" have exact versions`, () => {
      for (const [name, version] of Object.entries(packages)) assert.match(version, /^\d+\.\d+\.\d+$/, name);
    });
  }

  it('No dependency can run a script at installation', () => {
    assert.deepEqual(manifest.allowScripts, {});
    assert.match(readFileSync('.npmrc', 'utf8'), /^ignore-scripts=true$/m);
  });

  it('package-lock.json names no registry', () => {
    assert.doesNotMatch(readFileSync('package-lock.json', 'utf8'), /"resolved"/);
  });
});
